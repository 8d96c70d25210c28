/** How figures are shown: with the digits that say something. What moves none of them is luck. */

/** Two significant digits, never an exponent. A figure and the time beside it go opposite ways: one of them is the finer. */
export function twoDigits(value: number): string {
  const exponent = Number(value.toExponential(1).split('e')[1]);
  return Number(value.toPrecision(2)).toFixed(Math.max(0, 1 - exponent));
}

/** For figures that are held against demands of three digits: the margin shows where it is thin. */
export function wholeNumber(value: number): string {
  return value.toFixed(0);
}
