import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine, type Measurement, median, reachesGoal } from '../../report/report.ts';
import { packageFolder } from '../folders.ts';
import { describePinning } from '../rig/cores.ts';
import { type Plot, plotsOf } from './plots.ts';
import { shown } from './svg.ts';

/** `bench/RESULTS.md`: every figure of a run of `all`, with the machine it ran on, and plots of what a table does not show. */

export interface Measured {
  readonly bench: string;
  readonly measurements: readonly Measurement[];
}

const PAGE = 'RESULTS.md';
const PLOTS = 'plots';

export interface ResultsOptions {
  /** As it was asked for; each benchmark has its own where it is left out. */
  readonly seconds?: number | undefined;
  readonly folder?: string;
}

export function writeResults(measured: readonly Measured[], options: ResultsOptions = {}): void {
  const { seconds, folder = join(packageFolder(), 'bench') } = options;
  const plots = measured.flatMap(({ bench, measurements }) => plotsOf(bench, measurements));
  rmSync(join(folder, PLOTS), { recursive: true, force: true });
  mkdirSync(join(folder, PLOTS), { recursive: true });
  for (const { file, svg } of plots) writeFileSync(join(folder, PLOTS, `${file}.svg`), svg);
  writeFileSync(join(folder, PAGE), pageOf(measured, plots, seconds));
}

export function pageOf(measured: readonly Measured[], plots: readonly Plot[], seconds?: number): string {
  const sections = measured.map(({ bench, measurements }) => {
    const pictures = plots.filter((plot) => plot.bench === bench);
    const shownPlots = pictures.map(({ file, alt }) => `![${alt}](${PLOTS}/${file}.svg)\n\n`).join('');
    return `## ${bench}\n\n${shownPlots}${table(measurements)}`;
  });
  return `${head(seconds)}${goals(measured)}${sections.join('\n')}`;
}

function head(seconds: number | undefined): string {
  const flag = seconds === undefined ? '' : ` --seconds ${seconds}`;
  const { cpu, cores, memoryGiB, kernel, node, openssl } = describeMachine();
  return `# What was measured

Made by \`npm run bench -- all --write${flag}\`, never by hand. Each figure is the median of several runs in fresh processes, and stands
beside what it is to be held against, measured in the same run: ratios are what another machine can compare.

| Machine | |
| --- | --- |
| processor | ${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}; ${describePinning()} |
| memory | ${memoryGiB} GiB |
| kernel | ${kernel} |
| Node, OpenSSL | ${node}, ${openssl} |
| UDP buffers, default and at most | ${udpBuffers()} |

`;
}

function udpBuffers(): string {
  try {
    const [usual, most] = ['rmem_default', 'rmem_max'].map((name) => {
      return shown(Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8')) / 1_024);
    });
    return `${usual} KiB, ${most} KiB`;
  } catch {
    return 'not known';
  }
}

/** What the project has set itself, first. */
function goals(measured: readonly Measured[]): string {
  const rows = measured.flatMap(({ bench, measurements }) =>
    measurements
      .filter(({ atLeast, atMost }) => atLeast !== undefined || atMost !== undefined)
      .map((one) => [bench, one.case, one.metric, medianOf(one), goalOf(one), reachesGoal(one) ? 'yes' : '**no**']),
  );
  if (rows.length === 0) return '';
  const header = ['benchmark', 'case', 'figure', 'median', 'goal', 'reached'];
  return `## Goals\n\n${markdown([header, ...rows])}\n`;
}

function table(measurements: readonly Measurement[]): string {
  const rows = measurements.map((one) => {
    const ratios = Object.entries(one.vs ?? {}).map(([name, ratio]) => `${shown(ratio)} × ${name}`);
    const spread =
      one.rounds.length < 2 ? '' : `${shown(Math.min(...one.rounds))} to ${shown(Math.max(...one.rounds))}`;
    return [one.case, one.metric, medianOf(one), spread, ratios.join(', ')];
  });
  return markdown([['case', 'figure', 'median', 'spread', 'against'], ...rows]);
}

function medianOf({ rounds, unit }: Measurement): string {
  return `${shown(median(rounds))} ${unit}`.trimEnd();
}

function goalOf({ atLeast, atMost }: Measurement): string {
  return atLeast !== undefined ? `≥ ${shown(atLeast)}` : `≤ ${shown(atMost ?? 0)}`;
}

function markdown([header, ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return `${line(header!)}${line(header!.map(() => '---'))}${rows.map(line).join('')}`;
}
