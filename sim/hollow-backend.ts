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
    seal(_nonce, _aad, plaintext, out): number {
      if (plaintext.buffer !== out.buffer || plaintext.byteOffset !== out.byteOffset) out.set(plaintext);
      out.set(tag, plaintext.length);
      return plaintext.length + AEAD_TAG_BYTES;
    },
    open(_nonce, _aad, sealed, out): number {
      const length = sealed.length - AEAD_TAG_BYTES;
      if (length < 0) return -1;
      for (let i = 0; i < AEAD_TAG_BYTES; i++) if (sealed[length + i] !== tag[i]) return -1;
      if (sealed.buffer !== out.buffer || sealed.byteOffset !== out.byteOffset) out.set(sealed.subarray(0, length));
      return length;
    },
    wipe(): void {},
  };
}
