import type { CFunction, Ffi } from '../crypto/ffi.ts';

/**
 * The C functions of this process through `koffi`, which is optional: `undefined` where it is not installed, or does not run on
 * this system.
 */
export async function loadFfi(): Promise<Ffi | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(null);
    const types = {
      int: 'int',
      address: koffi.sizeof('void *') === 8 ? 'uint64_t' : 'uint32_t',
      void: 'void',
    } as const;
    const ffi: Ffi = {
      find(name, result, args): CFunction | undefined {
        try {
          const call = library.func(
            name,
            types[result],
            args.map((arg) => types[arg]),
          );
          return result === 'address' ? (...values) => Number(call(...values)) : (call as CFunction);
        } catch {
          return undefined;
        }
      },
      addressOf: (bytes) => Number(koffi.address(bytes)),
      errno: () => koffi.errno(),
    };
    // A tagged pointer is more than a number holds.
    return Number.isSafeInteger(ffi.addressOf(new Uint8Array(1_024))) ? ffi : undefined;
  } catch {
    return undefined;
  }
}
