/** Colours where somebody sees them: on a terminal, unless they say otherwise (no-color.org). */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
}

export function styleFor(stream: { readonly isTTY?: boolean }): Style {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && (NO_COLOR ?? '') === '' && TERM !== 'dumb' ? COLOURED : PLAIN;
}

const sgr = (on: number, off: number) => (text: string) => `\x1b[${on}m${text}\x1b[${off}m`;
const asItIs = (text: string): string => text;

const COLOURED: Style = { bold: sgr(1, 22), dim: sgr(2, 22), red: sgr(31, 39), green: sgr(32, 39) };
const PLAIN: Style = { bold: asItIs, dim: asItIs, red: asItIs, green: asItIs };
