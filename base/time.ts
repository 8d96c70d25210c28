/**
 * Time inside the machines is a whole number of microseconds on a monotonic clock that the edge reads. `Instant` is a point,
 * a plain number is a span; wall-clock time is another type, which only records and logs hold.
 */
export type Instant = number & { readonly __brand: 'Instant' };
export type WallMs = number & { readonly __brand: 'WallMs' };

/** Later than every real deadline: "no timer". */
export const NEVER: Instant = Number.POSITIVE_INFINITY as Instant;

export const MILLISECOND = 1_000;
export const SECOND = 1_000_000;

export function instant(us: number): Instant {
  return us as Instant;
}

export function after(start: Instant, span: number): Instant {
  return (start + span) as Instant;
}

export function earliest(a: Instant, b: Instant): Instant {
  return a < b ? a : b;
}
