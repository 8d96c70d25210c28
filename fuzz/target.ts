import { equal, toHex } from '../base/bytes.ts';
import { type DecodeError, isDecodeError } from '../wire/decode-error.ts';

/** One decoder under test. */
export interface FuzzTarget {
  /** As the command line names it. */
  readonly name: string;
  /** Inputs that the decoder accepts, made by the encoder: what mutation starts from. */
  corpus(): Uint8Array[];
  /**
   * Decodes `input`, which is only valid during the call, and gives `ACCEPTED` or the reason of the refusal. Throws whatever
   * the decoder throws, and a `FuzzFailure` where an accepted input does not have the properties it must have.
   */
  check(input: Uint8Array): string;
}

export const ACCEPTED = 'accepted';

/** The decoder did not throw, but broke a property. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure';
}

/** What every decoder of bytes owes: an accepted input is written again byte for byte. */
export function mustRewrite(input: Uint8Array, rewritten: Uint8Array): void {
  if (!equal(input, rewritten)) throw new FuzzFailure(`accepted, but written again as ${toHex(rewritten)}`);
}

/** A target of the usual shape: a decoder with closed results and the encoder that reverses it. */
export function decoderTarget<T extends { readonly kind: string }>(parts: {
  readonly name: string;
  readonly corpus: () => Uint8Array[];
  readonly decode: (input: Uint8Array) => T | DecodeError;
  /** `length` is that of the input, for values whose padding is not part of them. */
  readonly encode: (value: T, length: number) => Uint8Array;
}): FuzzTarget {
  return {
    name: parts.name,
    corpus: parts.corpus,
    check(input) {
      const value = parts.decode(input);
      if (isDecodeError(value)) return value.reason;
      mustRewrite(input, parts.encode(value, input.length));
      return ACCEPTED;
    },
  };
}
