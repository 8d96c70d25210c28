import type { Instant } from '../base/time.ts';

/** Where a run was when something broke. */
export interface Place {
  readonly seed: number;
  readonly time: Instant;
  readonly host: string | undefined;
}

/**
 * A run that broke a rule of the simulation or of the code in it. The seed and the time replay it; `cause` is the error behind
 * it, where there was one. A checker that does not know the place leaves it out, and the network fills it in.
 */
export class SimFailure extends Error {
  override readonly name = 'SimFailure';
  readonly reason: string;
  readonly place: Place | undefined;

  constructor(reason: string, place?: Place, cause?: unknown) {
    super(place === undefined ? reason : `${describe(place)}: ${reason}`, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.place = place;
  }
}

/** The error as a located failure; one that already knows its place stays as it is. */
export function locate(error: unknown, place: Place): SimFailure {
  if (error instanceof SimFailure && error.place !== undefined) return error;
  if (error instanceof SimFailure) return new SimFailure(error.reason, place, error);
  return new SimFailure(error instanceof Error ? `${error.name}: ${error.message}` : String(error), place, error);
}

function describe(place: Place): string {
  const host = place.host === undefined ? '' : `, host ${place.host}`;
  return `seed ${place.seed}, ${(place.time / 1000).toFixed(3)} ms${host}`;
}
