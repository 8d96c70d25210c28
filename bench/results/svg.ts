/** Two kinds of plots, as text: enough for a page of figures, and readable on light and dark paper. */

export interface BarChart {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly { readonly label: string; readonly value: number; readonly isOurs: boolean }[];
}

export interface LineChart {
  readonly title: string;
  readonly unit: string;
  /** Along the bottom, each as far from the next. */
  readonly labels: readonly string[];
  readonly lines: readonly { readonly label: string; readonly values: readonly number[] }[];
}

const WIDTH = 720;
const LABEL_WIDTH = 250;
const VALUE_WIDTH = 110;
const ROW = 26;
const TOP = 44;
const MARGIN = 16;
const OURS = '#2f7d5b';
const OTHERS = '#8a8f98';
const LINE_COLOURS: readonly string[] = ['#2f7d5b', '#b8621b', '#4a6fa5', '#8a5a9e'];

export function barChart({ title, unit, bars }: BarChart): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH - 2 * MARGIN;
  const rows = bars.map(({ label, value, isOurs }, i) => {
    const y = TOP + i * ROW;
    const width = (room * value) / most;
    const x = MARGIN + LABEL_WIDTH;
    return (
      text(x - 8, y + 13, label, 'end') +
      `<rect x="${x}" y="${y}" width="${number(width)}" height="18" rx="2" fill="${isOurs ? OURS : OTHERS}"/>` +
      text(x + width + 6, y + 13, `${shown(value)} ${unit}`, 'start')
    );
  });
  return svg(TOP + bars.length * ROW + MARGIN, title, rows.join('\n'));
}

const PLOT_HEIGHT = 240;
const AXIS_WIDTH = 80;

export function lineChart({ title, unit, labels, lines }: LineChart): string {
  const most = Math.max(...lines.flatMap(({ values }) => values), Number.MIN_VALUE);
  const left = MARGIN + AXIS_WIDTH;
  const right = WIDTH - MARGIN - LABEL_WIDTH / 2;
  const bottom = TOP + PLOT_HEIGHT;
  const xOf = (i: number): number => left + ((right - left) * i) / Math.max(1, labels.length - 1);
  const yOf = (value: number): number => bottom - (PLOT_HEIGHT * value) / most;
  const grid = [0, 0.5, 1].map((part) => {
    const y = number(yOf(part * most));
    const line = `<line x1="${left}" y1="${y}" x2="${right}" y2="${y}" stroke="${OTHERS}" stroke-opacity="0.4"/>`;
    return line + text(left - 8, yOf(part * most) + 4, `${shown(part * most)} ${part === 1 ? unit : ''}`, 'end');
  });
  const ticks = labels.map((label, i) => text(xOf(i), bottom + 20, label, 'middle'));
  const curves = lines.map(({ label, values }, i) => {
    const colour = LINE_COLOURS[i % LINE_COLOURS.length]!;
    const points = values.map((value, at) => `${number(xOf(at))},${number(yOf(value))}`);
    const dots = points.map((point) => {
      const [x, y] = point.split(',');
      return `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`;
    });
    return (
      `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}` +
      text(right + 8, TOP + 10 + i * 18, label, 'start', colour)
    );
  });
  return svg(bottom + 20 + MARGIN, title, [...grid, ...ticks, ...curves].join('\n'));
}

function svg(height: number, title: string, body: string): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `font-family="system-ui, sans-serif" font-size="13" role="img">\n<title>${escaped(title)}</title>\n` +
    `${text(MARGIN, 24, title, 'start', OTHERS, 'bold')}\n${body}\n</svg>\n`
  );
}

function text(x: number, y: number, words: string, anchor: string, fill: string = OTHERS, weight = 'normal'): string {
  const place = `x="${number(x)}" y="${number(y)}" text-anchor="${anchor}"`;
  return `<text ${place} fill="${fill}" font-weight="${weight}">${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function number(value: number): string {
  return String(Math.round(10 * value) / 10);
}

/** To three digits: a plot is no table. */
export function shown(value: number): string {
  const rounded = Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(3));
  return rounded.toLocaleString('en-GB', { maximumFractionDigits: 6 });
}
