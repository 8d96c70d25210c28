import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { opensslBackend } from '../crypto/openssl.ts';
import { formatForPeople, type Measurement, reportOf } from '../report/report.ts';
import type { ControllerName } from '../transport/congestion/controller.ts';
import {
  CONTROLLERS,
  GRID,
  LOSSES,
  lossGridLeast,
  runFairness,
  runGoodput,
  runLossGrid,
  SMOLTCP,
} from './campaigns/grid.ts';

/** `npm run sim -- grid`: every cell of the tables, on every core, as one report. */
const SEED = 1;
const FAIR_FLOWS: readonly number[] = [2, 4, 8, 16];
const FAIR_SEEDS: readonly number[] = [1, 2, 3];
const JAIN_LEAST = 0.95;
const SHARED_LEAST = 0.25;

/** One cell, computed by whichever worker is free. */
type Cell =
  | { readonly kind: 'goodput'; readonly row: number; readonly congestion: ControllerName }
  | { readonly kind: 'loss'; readonly loss: number; readonly congestion: ControllerName }
  | { readonly kind: 'fair'; readonly flows: readonly ControllerName[] };

function cells(): Cell[] {
  const all: Cell[] = [];
  // The longest first, so that no core waits for one at the end.
  GRID.map((row, i) => ({ i, bytes: row.bytes }))
    .sort((a, b) => b.bytes - a.bytes)
    .forEach(({ i }) => {
      for (const congestion of CONTROLLERS) all.push({ kind: 'goodput', row: i, congestion });
    });
  for (const count of FAIR_FLOWS.toReversed()) {
    for (const congestion of CONTROLLERS)
      all.push({ kind: 'fair', flows: Array.from({ length: count }, () => congestion) });
  }
  all.push({ kind: 'fair', flows: ['BBR', 'CUBIC'] });
  for (const loss of LOSSES.toReversed())
    for (const congestion of CONTROLLERS) all.push({ kind: 'loss', loss, congestion });
  return all;
}

function measure(cell: Cell): Measurement[] {
  switch (cell.kind) {
    case 'goodput': {
      const row = GRID[cell.row]!;
      const { share, seconds } = runGoodput(row, cell.congestion, SEED, opensslBackend);
      const name = `${row.text} / ${cell.congestion}`;
      const least = row.least[cell.congestion];
      return [
        {
          case: name,
          metric: 'share',
          unit: 'of the link',
          rounds: [share],
          ...(least === undefined ? {} : { atLeast: least }),
        },
        { case: name, metric: 'time', unit: 's', rounds: [seconds] },
      ];
    }
    case 'loss': {
      const smoltcp = SMOLTCP[LOSSES.indexOf(cell.loss)]!;
      const goodput = runLossGrid(cell.loss, cell.congestion, SEED, opensslBackend);
      const least = lossGridLeast(cell.loss, cell.congestion);
      return [
        {
          case: `100 ms, 32 KiB window, ${100 * cell.loss} % loss, 10 MiB / ${cell.congestion}`,
          metric: 'goodput',
          unit: 'kB/s',
          rounds: [goodput],
          vs: { smoltcp: goodput / smoltcp },
          ...(least === undefined ? {} : { atLeast: least }),
        },
      ];
    }
    case 'fair': {
      const results = FAIR_SEEDS.map((seed) => runFairness(cell.flows, seed, opensslBackend));
      const kinds = [...new Set(cell.flows)];
      if (kinds.length === 1) {
        const name = `${cell.flows.length} equal flows, 50 Mbit/s, 40 ms, 1 BDP queue / ${kinds[0]}`;
        const rounds = results.map(({ jain }) => jain);
        return [{ case: name, metric: 'jain', unit: '', rounds, atLeast: JAIN_LEAST }];
      }
      return cell.flows.map((flow, i) => ({
        case: `${cell.flows.join(' against ')}, 50 Mbit/s, 40 ms, 1 BDP queue / ${flow}`,
        metric: 'part of the traffic',
        unit: '',
        rounds: results.map(({ shares }) => shares[i]!),
        atLeast: SHARED_LEAST,
      }));
    }
  }
}

/** 1 where a figure that was set is missed. */
export async function runGrid(asJson: boolean, jobs: number = availableParallelism()): Promise<number> {
  const all = cells();
  const results = new Map<number, Measurement[]>();
  let next = 0;
  const worker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const thread = new Worker(new URL(import.meta.url), { workerData: 'grid' });
      const deal = (): void => thread.postMessage(next < all.length ? { index: next, cell: all[next++] } : undefined);
      thread.on('message', ({ index, measurements }: { index: number; measurements: Measurement[] }) => {
        results.set(index, measurements);
        if (process.stderr.isTTY) process.stderr.write(`\r${results.size} of ${all.length} cells`);
        deal();
      });
      thread.on('error', reject);
      thread.on('exit', () => resolve());
      deal();
    });
  await Promise.all(Array.from({ length: Math.min(jobs, all.length) }, worker));
  if (process.stderr.isTTY) process.stderr.write('\r');
  const measurements = all.flatMap((_, index) => results.get(index) ?? []);
  process.stdout.write(`${formatForPeople('grid', measurements)}\n`);
  const missed = measurements.filter(({ rounds, atLeast }) => atLeast !== undefined && middle(rounds) < atLeast);
  for (const { case: name, metric } of missed) process.stdout.write(`missed: ${name}, ${metric}\n`);
  if (asJson) process.stdout.write(`${JSON.stringify(reportOf('grid', measurements))}\n`);
  return missed.length === 0 && results.size === all.length ? 0 : 1;
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

if (!isMainThread && parentPort !== null && workerData === 'grid') {
  const port = parentPort;
  port.on('message', (task: { index: number; cell: Cell } | undefined) => {
    if (task === undefined) port.close();
    else port.postMessage({ index: task.index, measurements: measure(task.cell) });
  });
}
