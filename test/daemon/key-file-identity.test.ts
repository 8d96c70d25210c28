import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ascii, toHex } from '../../base/bytes.ts';
import { createIdentity } from '../../crypto/identity.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { encodeClearKeyFile, passphraseFromText } from '../../crypto/sealed-identity.ts';
import { createKeyFile, type IdentityOptions, loadOrCreateIdentity, replaceKeyFile } from '../../daemon/key-file.ts';
import { SeededRng } from '../../sim/rng.ts';
import { shows } from '../unit/crypto/fixtures.ts';
import { codeOf, errno, hooked, makePlace, modeOf, options, removePlace } from './key-file-support.ts';
import { refusal } from './refusal.ts';

let base: string;
let path: string;

beforeEach(() => {
  ({ base, path } = makePlace());
});

afterEach(() => removePlace(base));

describe('the identity of a key file', () => {
  const passphrase = passphraseFromText('open sesame')!;

  it('is made once and the same from then on', () => {
    const first = loadOrCreateIdentity(path, options(1));
    const second = loadOrCreateIdentity(path, options(2));
    expect(first.created).toBe(true);
    expect(second.created).toBe(false);
    expect(second.identity.address).toEqual(first.identity.address);
    expect(second.identity.signing.publicKey).toEqual(first.identity.signing.publicKey);
    expect(second.identity.exchange.publicKey).toEqual(first.identity.exchange.publicKey);
    expect(modeOf(path)).toBe(0o600);
  });

  it('is sealed where a passphrase is given, and opens with that one', () => {
    const first = loadOrCreateIdentity(path, options(1, { passphrase }));
    const second = loadOrCreateIdentity(path, options(2, { passphrase }));
    expect(second.identity.address).toEqual(first.identity.address);
    const text = nodeFs.readFileSync(path, 'utf8');
    expect(text).not.toContain(toHex(first.identity.secrets.signingSeed.expose()));
    expect(text).not.toContain(toHex(first.identity.secrets.exchangeSecret.expose()));
  });

  it.each<[string, string | undefined, string | undefined]>([
    ['ERR_WARREN_KEY_FILE_SEALED', 'open sesame', undefined],
    ['ERR_WARREN_KEY_FILE_PASSPHRASE', 'open sesame', 'open barley'],
    ['ERR_WARREN_KEY_FILE_NOT_SEALED', undefined, 'open sesame'],
  ])('is refused with %s', (code, sealedUnder, openedWith) => {
    const under = (text: string | undefined): Partial<IdentityOptions> => {
      return text === undefined ? {} : { passphrase: passphraseFromText(text) };
    };
    loadOrCreateIdentity(path, options(1, under(sealedUnder)));
    expect(codeOf(() => loadOrCreateIdentity(path, options(1, under(openedWith))))).toBe(code);
  });

  it('is refused for another network', () => {
    loadOrCreateIdentity(path, options(1));
    expect(codeOf(() => loadOrCreateIdentity(path, options(1, { network: 8 })))).toBe('ERR_WARREN_KEY_FILE_NETWORK');
  });

  it.each([
    ['ERR_WARREN_KEY_FILE_DAMAGED', '{"format": "warren identity", "version": 1}'],
    ['ERR_WARREN_KEY_FILE_DAMAGED', ''],
    ['ERR_WARREN_KEY_FILE_VERSION', '{"format": "warren identity", "version": 2}'],
  ])('is refused with %s where the file says something else, and the file stays as it is', (code, text) => {
    createKeyFile(path, ascii(text));
    expect(codeOf(() => loadOrCreateIdentity(path, options(1)))).toBe(code);
    expect(nodeFs.readFileSync(path, 'utf8')).toBe(text);
  });

  it('is the first one where two start at once', () => {
    let winner: ReturnType<typeof loadOrCreateIdentity> | undefined;
    const fs = hooked((call) => {
      if (call === 'link') winner = loadOrCreateIdentity(path, options(1));
    });
    const loser = loadOrCreateIdentity(path, options(2, { fs }));
    expect(winner?.created).toBe(true);
    expect(loser.created).toBe(false);
    expect(loser.identity.address).toEqual(winner?.identity.address);
  });

  it('does not show its secrets in any error', () => {
    const { identity } = loadOrCreateIdentity(path, options(1));
    const { signingSeed } = identity.secrets;
    const text = nodeFs.readFileSync(path, 'utf8');
    const bends = [
      text.slice(0, -3),
      text.replace('"secrets"', '"secret"'),
      text.replace(/"counter": 0/, '"counter": 1'),
    ];
    for (const bent of bends) {
      replaceKeyFile(path, ascii(bent));
      expect(
        shows(
          refusal(() => loadOrCreateIdentity(path, options(1))),
          signingSeed.expose(),
        ),
      ).toBe(false);
    }
    replaceKeyFile(path, ascii(text));
    expect(
      shows(
        refusal(() => loadOrCreateIdentity(path, options(1, { network: 8 }))),
        signingSeed.expose(),
      ),
    ).toBe(false);
    const failing = hooked((call) => {
      if (call === 'fsync') throw errno('EIO');
    });
    const fresh = createIdentity(opensslBackend, new SeededRng(9), 7);
    const error = refusal(() => createKeyFile(join(base, 'x'), encodeClearKeyFile(fresh), failing));
    expect(shows(error, fresh.secrets.signingSeed.expose())).toBe(false);
  });
});
