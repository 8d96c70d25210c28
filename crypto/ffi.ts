/**
 * What the edge may lend of C: functions of libraries that this process has loaded, called with numbers, and the places where
 * bytes stand. Whoever calls one answers for every address and length that it is given.
 */
export interface Ffi {
  /** `undefined` where nothing has that name. */
  find(name: string, result: CType, args: readonly CType[]): CFunction | undefined;
  /** Bytes stay where they are for as long as their buffer lives. */
  addressOf(bytes: Uint8Array): number;
  /** The system's number for what went wrong in the last call that said so. */
  errno(): number;
}

/** An `address` is a number, 0 where there is none; it is always below 2^53 on the systems that this is tried on. */
export type CType = 'int' | 'address' | 'void';

export type CFunction = (...args: number[]) => number;

/** By name: what each gives, and what it takes. */
export type Signatures = Readonly<Record<string, readonly [result: CType, args: readonly CType[]]>>;

/** All of them, or `undefined`. */
export function findAll<S extends Signatures>(ffi: Ffi, signatures: S): Record<keyof S, CFunction> | undefined {
  const found: Partial<Record<keyof S, CFunction>> = {};
  for (const [name, [result, args]] of Object.entries(signatures)) {
    const one = ffi.find(name, result, args);
    if (one === undefined) return undefined;
    found[name as keyof S] = one;
  }
  return found as Record<keyof S, CFunction>;
}
