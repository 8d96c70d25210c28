import { expect, it } from 'vitest';
import type { Aead, CryptoBackend } from '../../../crypto/backend.ts';
import { nobleBackend } from '../../../crypto/noble.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { loadNative } from '../../../daemon/native.ts';
import { selfTest } from '../../../daemon/self-test.ts';

const refused = expect.objectContaining({ code: 'ERR_WARREN_SELF_TEST', message: expect.any(String) });

it('every backend that a daemon may have passes the self-test', async () => {
  for (const crypto of [opensslBackend, nobleBackend, (await loadNative()).crypto]) selfTest(crypto);
});

/** As it is, but for what becomes of each key's cipher. */
function spoilt(aead: (genuine: Aead) => Partial<Aead>): CryptoBackend {
  return {
    ...opensslBackend,
    aead(key) {
      const genuine = opensslBackend.aead(key);
      const { seal, open, wipe } = genuine;
      const whole: Aead = { seal: seal.bind(genuine), open: open.bind(genuine), wipe: wipe.bind(genuine) };
      return { ...whole, ...aead(genuine) };
    },
  };
}

it.each<[string, CryptoBackend]>([
  ['a cipher that opens nothing', spoilt(() => ({ open: () => -1 }))],
  [
    'a cipher that throws',
    spoilt(() => ({
      seal: () => {
        throw new Error('no such cipher');
      },
    })),
  ],
  ['signatures that are all wrong', { ...opensslBackend, ed25519Verify: () => false }],
])('%s does not pass', (_, crypto) => {
  expect(() => selfTest(crypto)).toThrow(refused);
});
