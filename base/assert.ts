/**
 * A broken invariant of our own. It stops the process with its place and reason; nothing a peer or an application sends may
 * ever reach one. Assertions stay on in production: they turn silent corruption into a located failure.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new AssertionError(why);
}

/** The `default` of a switch over a closed union: a case that was added and not handled does not compile. */
export function assertNever(value: never): never {
  throw new AssertionError(`unhandled case: ${JSON.stringify(value)}`);
}
