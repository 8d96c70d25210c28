import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Figures } from '../../bench/figures.ts';
import { writeResults } from '../../bench/results/page.ts';
import { barChart, lineChart } from '../../bench/results/svg.ts';

describe('a benchmark gathers figures', () => {
  it('that are medians of their rounds, with ratios to others, and a row of its own for a ratio with a goal', () => {
    const figures = new Figures();
    for (const value of [10, 30, 20]) figures.add('ours', 'throughput', 'MB/s', value);
    figures.add('theirs', 'throughput', 'MB/s', 40);
    figures.compare('ours', 'throughput', 'theirs', figures.of('theirs', 'throughput'), { atLeast: 0.6 });
    expect(figures.measurements).toEqual([
      { case: 'ours', metric: 'throughput', unit: 'MB/s', rounds: [10, 30, 20], vs: { theirs: 0.5 } },
      { case: 'theirs', metric: 'throughput', unit: 'MB/s', rounds: [40], vs: {} },
      { case: 'ours', metric: 'throughput ÷ theirs', unit: '', rounds: [0.5], vs: {}, atLeast: 0.6 },
    ]);
  });

  it('and compares with nothing that was left out', () => {
    const figures = new Figures();
    figures.add('ours', 'throughput', 'MB/s', 10);
    figures.compare('ours', 'throughput', 'theirs', figures.of('theirs', 'throughput'), { atLeast: 1 });
    figures.goal('theirs', 'throughput', { atLeast: 1 });
    expect(figures.measurements).toEqual([{ case: 'ours', metric: 'throughput', unit: 'MB/s', rounds: [10], vs: {} }]);
  });
});

describe('the page of results', () => {
  it('has the machine, the goals, every figure, and plots that it links to; no name of the machine, no path', () => {
    const folder = mkdtempSync(join(tmpdir(), 'bench-results-'));
    try {
      const streams = [1, 10].map((count) => ({
        case: `embedded, ${count}`,
        metric: 'opens + closes',
        unit: '1/s',
        rounds: [count],
      }));
      const oneWay = {
        case: 'one-way default',
        metric: 'throughput',
        unit: 'MB/s',
        rounds: [300, 100, 200],
        vs: { roofline: 0.5 },
        atLeast: 250,
      };
      writeResults(
        [
          { bench: 'loopback', measurements: [oneWay] },
          { bench: 'streams', measurements: streams },
        ],
        { seconds: 2, folder },
      );
      const page = readFileSync(join(folder, 'RESULTS.md'), 'utf8');
      expect(page).toContain('| loopback | one-way default | throughput | 200 MB/s | ≥ 250 | **no** |');
      expect(page).toContain('| one-way default | throughput | 200 MB/s | 100 to 300 | 0.5 × roofline |');
      expect(page).toContain('`npm run bench -- all --write --seconds 2`');
      expect(page).toContain(process.versions.node);
      for (const secret of [hostname(), process.cwd(), folder]) expect(page).not.toContain(secret);
      const plots = [...page.matchAll(/\]\((.*?)\)/g)].map((match) => match[1]);
      expect(plots).toEqual(['plots/loopback-default.svg', 'plots/streams.svg']);
      expect(readdirSync(join(folder, 'plots')).map((name) => `plots/${name}`)).toEqual(plots);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a plot', () => {
  it('draws bars in proportion, and takes labels for text', () => {
    const svg = barChart({
      title: 'a < b & c',
      unit: 'MB/s',
      bars: [
        { label: '<ours>', value: 50, isOurs: true },
        { label: 'theirs', value: 100, isOurs: false },
      ],
    });
    const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map((match) => Number(match[1]));
    expect(widths[1]).toBeCloseTo(2 * widths[0]!, 0);
    expect(svg).toContain('a &lt; b &amp; c');
    expect(svg).not.toContain('<ours>');
  });

  it('draws a line through its values, from the bottom up', () => {
    const svg = lineChart({
      title: 't',
      unit: 's',
      labels: ['1', '10', '100'],
      lines: [{ label: 'l', values: [0, 5, 10] }],
    });
    const points = /points="([^"]*)"/
      .exec(svg)![1]!
      .split(' ')
      .map((point) => point.split(',').map(Number));
    expect(points).toHaveLength(3);
    expect(points[1]![1]! - points[2]![1]!).toBeCloseTo(points[0]![1]! - points[1]![1]!, 5);
    expect(points[0]![1]!).toBeGreaterThan(points[2]![1]!);
  });
});
