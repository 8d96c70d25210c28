/**
 * What must not outlive this process, however it ends: process groups, directories. Everything here is done at once, without
 * waiting, because that is all there is time for when a process exits.
 */
const leftovers: Set<() => void> = new Set();

export interface Leftover {
  /** It has gone in order: nothing is left to do. */
  forget(): void;
}

export function leaveNothing(clear: () => void): Leftover {
  leftovers.add(clear);
  return { forget: () => leftovers.delete(clear) };
}

/** Ctrl-C and its like end this process as they would anyway, but by way of `exit`. */
export function clearAtExit(): void {
  process.on('exit', clearAll);
  for (const [signal, number] of SIGNALS) process.on(signal, () => process.exit(SIGNALLED + number));
}

/** With their numbers, which shells make exit codes of. */
const SIGNALS: readonly (readonly [NodeJS.Signals, number])[] = [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
];
const SIGNALLED = 128;

function clearAll(): void {
  for (const clear of [...leftovers].reverse()) {
    try {
      clear();
    } catch {
      // The others are still to be cleared.
    }
  }
}
