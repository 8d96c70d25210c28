/** Of many small times, in microseconds. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export function quantilesOf(milliseconds: readonly number[]): Quantiles {
  const sorted = Float64Array.from(milliseconds).sort();
  const at = (share: number): number => 1_000 * (sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}
