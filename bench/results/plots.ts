import { type Measurement, median } from '../../report/report.ts';
import { barChart, lineChart } from './svg.ts';

/** Which figures are drawn, and how. A plot whose figures are not there is not drawn. */
export interface Plot {
  readonly bench: string;
  /** Without its ending. */
  readonly file: string;
  readonly alt: string;
  readonly svg: string;
}

export function plotsOf(bench: string, all: readonly Measurement[]): readonly Plot[] {
  const find = (name: string, metric: string): number | undefined => {
    const found = all.find((one) => one.case === name && one.metric === metric);
    return found && median(found.rounds);
  };
  switch (bench) {
    case 'roofline':
      return bars(bench, 'Roofline, by size of datagram', 'MB/s', [], casesWith(all, 'throughput'), 'throughput', find);
    case 'loopback':
      return PATHS.flatMap((path) => {
        const name = `one-way ${path}`;
        const title = `App to app through two daemons, one way, ${path}`;
        return bars(
          `${bench}-${fileOf(path)}`,
          title,
          'MB/s',
          [name],
          [name, `roofline for ${name}`],
          'throughput',
          find,
        );
      });
    case 'embedded':
      return PATHS.flatMap((path) => {
        const name = `one-way ${path}`;
        const cases = [name, `loopback for ${name}`, `roofline for ${name}`];
        const title = `Nodes in the programs, one way, ${path}`;
        return bars(`${bench}-${fileOf(path)}`, title, 'MB/s', [name], cases, 'throughput', find);
      });
    case 'peers': {
      const cases = casesWith(all, 'throughput');
      const ours = cases.filter((name) => /^(embedded|loopback)/.test(name));
      return bars(bench, 'Against others, the same bytes in the same layout', 'MB/s', ours, cases, 'throughput', find);
    }
    case 'latency': {
      const cases = casesWith(all, 'p50');
      const ours = cases.filter((name) => !name.startsWith('roofline'));
      return ['p50', 'p99'].flatMap((quantile) =>
        bars(`${bench}-${quantile}`, `64-byte echo, ${quantile}`, 'µs', ours, cases, quantile, find),
      );
    }
    case 'streams': {
      const labels = [...new Set(all.map((one) => one.case.replace(/^[^,]*, /, '')))];
      return curve(bench, 'Streams opened and closed a second', '1/s', labels, 'opens + closes', find, (label) => [
        ['embedded', `embedded, ${label}`],
        ['daemons', `daemons, ${label}`],
        ['bare hops', `bare hops, ${label}`],
      ]);
    }
    case 'scale': {
      const labels = ['1', '10', '100', '1,000'];
      return curve(bench, 'What a gigabyte costs two daemons', 's/GB', labels, 'cpu', find, (label) => [
        ['streams', label === '1' ? '1 stream' : `${label} streams`],
        ['idle peers', label === '1' ? '1 idle peer' : `${label} idle peers`],
      ]);
    }
    default:
      return [];
  }
}

const PATHS = ['default', 'mtu 1200', 'no-offload', 'mtu 1200 no-offload'];

type Find = (name: string, metric: string) => number | undefined;

function bars(
  file: string,
  title: string,
  unit: string,
  ours: readonly string[],
  cases: readonly string[],
  metric: string,
  find: Find,
): readonly Plot[] {
  const found = cases.flatMap((label) => {
    const value = find(label, metric);
    return value === undefined ? [] : [{ label, value, isOurs: ours.includes(label) }];
  });
  if (found.length === 0) return [];
  const bench = file.split('-', 1)[0]!;
  return [{ bench, file, alt: title, svg: barChart({ title, unit, bars: found }) }];
}

function curve(
  file: string,
  title: string,
  unit: string,
  labels: readonly string[],
  metric: string,
  find: Find,
  linesAt: (label: string) => readonly (readonly [line: string, name: string])[],
): readonly Plot[] {
  const names = linesAt(labels[0] ?? '').map(([line]) => line);
  const lines = names.map((label, i) => {
    return { label, values: labels.map((at) => find(linesAt(at)[i]![1], metric) ?? Number.NaN) };
  });
  const whole = lines.filter(({ values }) => values.length > 0 && values.every(Number.isFinite));
  if (whole.length === 0) return [];
  return [{ bench: file, file, alt: title, svg: lineChart({ title, unit, labels, lines: whole }) }];
}

function casesWith(all: readonly Measurement[], metric: string): readonly string[] {
  return all.filter((one) => one.metric === metric).map((one) => one.case);
}

function fileOf(text: string): string {
  return text.replaceAll(' ', '-');
}
