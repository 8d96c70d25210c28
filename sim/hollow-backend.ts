import { AEAD_TAG_BYTES, type Aead, type CryptoBackend } from '../crypto/backend.ts';

/**
 * A backend whose AEAD copies and hides nothing, for runs that measure time on the virtual clock and move gigabytes: there the
 * sealing would be most of the work, and it changes no figure. Handshakes are real.
 */
export function hollowBackend(inner: CryptoBackend): CryptoBackend {
  return {
    name: `${inner.name}, hollow`,
    sha256: (...parts) => inner.sha256(...parts),
    hmacSha256: (key, ...parts) => inner.hmacSha256(key, ...parts),
    hkdfSha256: (ikm, salt, info, length) => inner.hkdfSha256(ikm, salt, info, length),
    x25519: (secret) => inner.x25519(secret),
    ed25519: (seed) => inner.ed25519(seed),
    ed25519Verify: (publicKey, message, signature) => inner.ed25519Verify(publicKey, message, signature),
    scrypt: (passphrase, salt, cost, length) => inner.scrypt(passphrase, salt, cost, length),
    aead: (key) => hollowAead(key.slice(0, AEAD_TAG_BYTES)),
  };
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
