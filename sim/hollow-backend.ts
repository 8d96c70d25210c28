import { AEAD_TAG_BYTES, type Aead, type CryptoBackend } from '../crypto/backend.ts';

/**
 * A backend whose AEAD copies and hides nothing, for runs that measure time on the virtual clock and move gigabytes: there the
 * sealing would be most of the work, and it changes no figure. Handshakes are real.
 */
export function hollowBackend(inner: CryptoBackend): CryptoBackend {
  return { ...inner, name: `${inner.name}, hollow`, aead: (key) => hollowAead(key.slice(0, AEAD_TAG_BYTES)) };
}

/** The tag is a piece of the key, so that a packet still opens only under the key it was made with. */
function hollowAead(tag: Uint8Array): Aead {
  return {
    seal(_nonce, _aad, plaintext, out, start = 0, length = plaintext.length): number {
      const end = start + length;
      if (!isSamePlace(plaintext, out)) out.set(plaintext.subarray(start, end), start);
      out.set(tag, end);
      return length + AEAD_TAG_BYTES;
    },
    open(_nonce, _aad, sealed, out, start = 0, sealedLength = sealed.length): number {
      const end = start + sealedLength - AEAD_TAG_BYTES;
      if (end < start) return -1;
      for (let i = 0; i < AEAD_TAG_BYTES; i++) if (sealed[end + i] !== tag[i]) return -1;
      if (!isSamePlace(sealed, out)) out.set(sealed.subarray(start, end), start);
      return end - start;
    },
    wipe(): void {},
  };
}

function isSamePlace(a: Uint8Array, b: Uint8Array): boolean {
  return a.buffer === b.buffer && a.byteOffset === b.byteOffset;
}
