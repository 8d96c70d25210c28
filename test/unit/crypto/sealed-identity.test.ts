import { describe, expect, it } from 'vitest';
import { ascii, toHex } from '../../../base/bytes.ts';
import type { CryptoBackend, ScryptCost } from '../../../crypto/backend.ts';
import type { Identity } from '../../../crypto/identity.ts';
import { createIdentity, withNextAddress } from '../../../crypto/identity.ts';
import type { KeyFile, KeyFileError, KeyFileReason } from '../../../crypto/sealed-identity.ts';
import {
  DEFAULT_SCRYPT_COST,
  decodeKeyFile,
  describeKeyFileError,
  encodeClearKeyFile,
  encodeSealedKeyFile,
  isKeyFileError,
  isScryptCostAccepted,
  openKeyFile,
  passphraseFromText,
} from '../../../crypto/sealed-identity.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { encodeUtf8 } from '../../../wire/utf8.ts';
import { BACKENDS, counting, countingRng, goldenIdentity, shows } from './fixtures.ts';
import { CLEAR_KEY_FILE, PASSPHRASE, SEALED_KEY_FILE } from './golden.ts';

const CHEAP: ScryptCost = { n: 16, r: 8, p: 1 };
const passphrase = passphraseFromText(PASSPHRASE)!;

type Json = Record<string, unknown> & { secrets: Record<string, unknown> };

/** A key file with something changed by hand. */
function edited(text: string, edit: (file: Json) => void): Uint8Array {
  const file = JSON.parse(text) as Json;
  edit(file);
  return encodeUtf8(JSON.stringify(file));
}

function decoded(bytes: Uint8Array): KeyFile {
  const file = decodeKeyFile(bytes);
  if (isKeyFileError(file)) throw new Error(describeKeyFileError(file));
  return file;
}

function opened(backend: CryptoBackend, bytes: Uint8Array, under = passphrase): Identity | KeyFileError {
  const file = decodeKeyFile(bytes);
  if (isKeyFileError(file)) return file;
  return openKeyFile(backend, file, file.protection.kind === 'none' ? undefined : under);
}

function reasonOf(result: object): KeyFileReason | undefined {
  return isKeyFileError(result) ? result.reason : undefined;
}

describe.each(BACKENDS)('a key file, with %s', (_, backend) => {
  const golden = goldenIdentity(backend);

  it('is, byte for byte, the golden one', () => {
    expect(encodeClearKeyFile(golden)).toEqual(ascii(CLEAR_KEY_FILE));
    expect(encodeSealedKeyFile(backend, countingRng(64), golden, passphrase, CHEAP)).toEqual(ascii(SEALED_KEY_FILE));
  });

  it('in clear gives the identity back', () => {
    const identity = createIdentity(backend, new SeededRng(1), 42);
    const again = opened(backend, encodeClearKeyFile(identity)) as Identity;
    expect(again.address).toEqual(identity.address);
    expect(again.secrets.signingSeed.expose()).toEqual(identity.secrets.signingSeed.expose());
    expect(again.secrets.exchangeSecret.expose()).toEqual(identity.secrets.exchangeSecret.expose());
    expect(again.exchange.publicKey).toEqual(identity.exchange.publicKey);
  });

  it('keeps the counter of a later address', () => {
    const moved = withNextAddress(backend, golden)!;
    const again = opened(backend, encodeClearKeyFile(moved)) as Identity;
    expect(again.counter).toBe(1);
    expect(again.address).toEqual(moved.address);
  });

  it('sealed gives the identity back to whoever knows the passphrase, whichever backend sealed it', () => {
    for (const [, other] of BACKENDS) {
      const identity = createIdentity(other, new SeededRng(2), 42);
      const bytes = encodeSealedKeyFile(other, new SeededRng(3), identity, passphrase, CHEAP);
      const again = opened(backend, bytes) as Identity;
      expect(again.address).toEqual(identity.address);
      expect(again.secrets.signingSeed.expose()).toEqual(identity.secrets.signingSeed.expose());
      expect(again.secrets.exchangeSecret.expose()).toEqual(identity.secrets.exchangeSecret.expose());
    }
  });

  it('sealed stays closed to any other passphrase', () => {
    const bytes = ascii(SEALED_KEY_FILE);
    for (const guess of ['', 'cafe au lait', `${PASSPHRASE} `, `${PASSPHRASE}\n`].map(passphraseFromText)) {
      const result = openKeyFile(backend, decoded(bytes), guess);
      expect(reasonOf(result)).toBe(guess === undefined ? 'passphrase-needed' : 'passphrase-wrong');
    }
  });

  it('sealed opens with its passphrase however its accents were typed', () => {
    const decomposed = passphraseFromText(PASSPHRASE.normalize('NFD'))!;
    expect(PASSPHRASE.normalize('NFD')).not.toBe(PASSPHRASE);
    expect(isKeyFileError(opened(backend, ascii(SEALED_KEY_FILE), decomposed))).toBe(false);
  });

  it('sealed does not open once any part of it was changed', () => {
    const changes: [KeyFileReason, (file: Json) => void][] = [
      ['address-mismatch', (file) => Object.assign(file, { counter: 1 })],
      ['address-mismatch', (file) => Object.assign(file, { address: '7:0007.D0BD.C521' })],
      ['passphrase-wrong', (file) => Object.assign(file, { address: '8:0008.D0BD.C520' })],
      ['passphrase-wrong', (file) => Object.assign(file, { staticKey: '00'.repeat(32) })],
      ['passphrase-wrong', (file) => Object.assign(file.secrets, { n: 32 })],
      ['passphrase-wrong', (file) => Object.assign(file.secrets, { r: 4 })],
      ['passphrase-wrong', (file) => Object.assign(file.secrets, { p: 2 })],
    ];
    for (const [reason, change] of changes) {
      expect(reasonOf(opened(backend, edited(SEALED_KEY_FILE, change)))).toBe(reason);
    }
    for (const field of ['salt', 'nonce', 'sealed']) {
      const bytes = edited(SEALED_KEY_FILE, ({ secrets }) => {
        const text = secrets[field] as string;
        secrets[field] = `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`;
      });
      expect(reasonOf(opened(backend, bytes))).toBe('passphrase-wrong');
    }
  });

  it('in clear is refused when its public keys belong to other secrets', () => {
    const other = createIdentity(backend, new SeededRng(4), 7);
    const change = (field: string, value: string): Uint8Array =>
      edited(CLEAR_KEY_FILE, ({ secrets }) => Object.assign(secrets, { [field]: value }));
    const foreign = toHex(other.secrets.signingSeed.expose());
    expect(reasonOf(opened(backend, change('signingSeed', foreign)))).toBe('key-mismatch');
    expect(reasonOf(opened(backend, change('exchangeSecret', foreign)))).toBe('key-mismatch');
  });

  it('in clear is not opened with a passphrase, for whoever gives one believes it sealed', () => {
    expect(reasonOf(openKeyFile(backend, decoded(ascii(CLEAR_KEY_FILE)), passphrase))).toBe('not-sealed');
  });

  it('never pays a cost that a hostile file asks for', () => {
    const unpaid: CryptoBackend = {
      ...backend,
      scrypt: () => {
        throw new Error('paid');
      },
    };
    for (const cost of [{ n: 2 ** 30 }, { r: 2 ** 20 }, { p: 2 ** 20 }, { n: 2 ** 19 }, { n: 2 ** 53 }, { n: 1e300 }]) {
      const bytes = edited(SEALED_KEY_FILE, ({ secrets }) => Object.assign(secrets, cost));
      expect(reasonOf(opened(unpaid, bytes)), JSON.stringify(cost)).toBe('cost-out-of-range');
    }
  });
});

describe('a key file', () => {
  const [, backend] = BACKENDS[0]!;

  it('says whose it is to anybody who may read it', () => {
    for (const text of [CLEAR_KEY_FILE, SEALED_KEY_FILE]) {
      const golden = goldenIdentity(backend);
      expect(decoded(ascii(text))).toMatchObject({
        address: golden.address,
        counter: 0,
        identityKey: golden.signing.publicKey,
        staticKey: golden.exchange.publicKey,
      });
    }
  });

  it('may be laid out and ordered in another way', () => {
    const shuffled = edited(SEALED_KEY_FILE, (file) => {
      const { secrets } = file;
      Reflect.deleteProperty(file, 'secrets');
      const entries = Object.entries(file).reverse();
      for (const [key] of entries) Reflect.deleteProperty(file, key);
      Object.assign(file, { secrets: Object.fromEntries(Object.entries(secrets).reverse()) });
      Object.assign(file, Object.fromEntries(entries));
    });
    expect(isKeyFileError(opened(backend, shuffled))).toBe(false);
  });

  it('shows no secret to whoever prints it, sealed or not', () => {
    const seeds = [counting(0, 32), counting(32, 32)];
    for (const secret of seeds) {
      expect(shows(decoded(ascii(CLEAR_KEY_FILE)), secret)).toBe(false);
      expect(SEALED_KEY_FILE).not.toContain(toHex(secret));
    }
  });

  it('seals the same identity differently every time', () => {
    const rng = new SeededRng(5);
    const identity = createIdentity(backend, rng, 0);
    const seals = [1, 2].map(() => {
      const { protection } = decoded(encodeSealedKeyFile(backend, rng, identity, passphrase, CHEAP));
      return protection.kind === 'passphrase' ? protection : undefined;
    });
    expect(seals[0]?.salt).not.toEqual(seals[1]?.salt);
    expect(seals[0]?.nonce).not.toEqual(seals[1]?.nonce);
  });

  it.each<[KeyFileReason, string, Uint8Array]>([
    ['not-json', 'an empty file', new Uint8Array(0)],
    ['not-json', 'half a file', ascii(CLEAR_KEY_FILE.slice(0, 200))],
    ['not-json', 'bytes that are not UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['not-a-key-file', 'a number', ascii('7')],
    ['not-a-key-file', 'null', ascii('null')],
    ['not-a-key-file', 'a list', ascii('[]')],
    ['not-a-key-file', 'another object', ascii('{"kty":"OKP"}')],
    ['not-a-key-file', 'a prototype that says otherwise', ascii('{"__proto__":{"format":"warren identity"}}')],
    ['unknown-version', 'version 2', edited(CLEAR_KEY_FILE, (file) => Object.assign(file, { version: 2 }))],
    ['unknown-version', 'version "1"', edited(CLEAR_KEY_FILE, (file) => Object.assign(file, { version: '1' }))],
    ['unknown-field', 'a field too many', edited(CLEAR_KEY_FILE, (file) => Object.assign(file, { owner: 'me' }))],
    [
      'unknown-field',
      'a secret too many',
      edited(CLEAR_KEY_FILE, (file) => Object.assign(file.secrets, { passphrase: 'x' })),
    ],
    ['unknown-field', 'a __proto__', ascii(CLEAR_KEY_FILE.replace('"version"', '"__proto__": {}, "version"'))],
    ['too-large', 'more than 64 KiB', ascii(CLEAR_KEY_FILE + ' '.repeat(65_536))],
    ['bad-field', 'secrets that are no object', edited(CLEAR_KEY_FILE, (file) => Object.assign(file, { secrets: 1 }))],
    [
      'bad-field',
      'another protection',
      edited(CLEAR_KEY_FILE, ({ secrets }) => Object.assign(secrets, { protection: 'rot13' })),
    ],
    [
      'bad-field',
      'upper-case hexadecimal',
      edited(CLEAR_KEY_FILE, ({ secrets }) => Object.assign(secrets, { signingSeed: 'AA'.repeat(32) })),
    ],
    [
      'bad-field',
      'a seed of 31 bytes',
      edited(CLEAR_KEY_FILE, ({ secrets }) => Object.assign(secrets, { signingSeed: 'aa'.repeat(31) })),
    ],
    ['bad-field', 'a counter of 256', edited(CLEAR_KEY_FILE, (file) => Object.assign(file, { counter: 256 }))],
    ['bad-field', 'a counter of 0.5', edited(CLEAR_KEY_FILE, (file) => Object.assign(file, { counter: 0.5 }))],
    [
      'bad-field',
      'an address with a port',
      edited(CLEAR_KEY_FILE, (file) => Object.assign(file, { address: '7:0007.D0BD.C520:1' })),
    ],
    [
      'bad-field',
      'another cipher',
      edited(SEALED_KEY_FILE, ({ secrets }) => Object.assign(secrets, { cipher: 'none' })),
    ],
    ['bad-field', 'another KDF', edited(SEALED_KEY_FILE, ({ secrets }) => Object.assign(secrets, { kdf: 'md5' }))],
    [
      'bad-field',
      'a cost that is no number',
      edited(SEALED_KEY_FILE, ({ secrets }) => Object.assign(secrets, { n: '16' })),
    ],
  ])('is refused as %s: %s', (reason, _, bytes) => {
    expect(reasonOf(decodeKeyFile(bytes))).toBe(reason);
  });

  it.each([
    ['nothing', CLEAR_KEY_FILE],
    ['a passphrase', SEALED_KEY_FILE],
  ])('protected by %s is refused without any one of its fields, by name', (_, text) => {
    const file = JSON.parse(text) as Json;
    for (const field of Object.keys(file).filter((key) => !['format', 'version'].includes(key))) {
      const bytes = edited(text, (json) => Reflect.deleteProperty(json, field));
      expect(decodeKeyFile(bytes)).toEqual({ kind: 'key-file-error', reason: 'missing-field', field });
    }
    for (const field of Object.keys(file.secrets)) {
      const bytes = edited(text, ({ secrets }) => Reflect.deleteProperty(secrets, field));
      expect(decodeKeyFile(bytes)).toEqual({ kind: 'key-file-error', reason: 'missing-field', field });
    }
  });

  it('is refused in a sentence that repeats nothing from the file', () => {
    const seed = toHex(counting(0, 32));
    const bent = [
      ascii(CLEAR_KEY_FILE.replace('"secrets": {', `"${seed}": {`)),
      ascii(CLEAR_KEY_FILE.replace(`"${seed}"`, `"${seed}"00`)),
      ascii(CLEAR_KEY_FILE.replace(seed, `${seed}zz`)),
      edited(CLEAR_KEY_FILE, (file) => Object.assign(file, { [seed]: seed })),
    ];
    for (const bytes of bent) {
      const error = decodeKeyFile(bytes) as KeyFileError;
      expect(isKeyFileError(error)).toBe(true);
      expect(describeKeyFileError(error)).toMatch(/^[A-Z].*\.$/);
      expect(`${JSON.stringify(error)}${describeKeyFileError(error)}`).not.toContain(seed.slice(0, 16));
    }
  });
});

describe('a cost for scrypt', () => {
  it('is accepted up to 256 MiB and eight times the default work', () => {
    expect(isScryptCostAccepted(DEFAULT_SCRYPT_COST)).toBe(true);
    expect(isScryptCostAccepted({ n: 2 ** 17, r: 8, p: 8 })).toBe(true);
    expect(isScryptCostAccepted({ n: 2 ** 17, r: 8, p: 9 })).toBe(false);
    expect(isScryptCostAccepted({ n: 2 ** 18, r: 8, p: 1 })).toBe(true);
    expect(isScryptCostAccepted({ n: 2 ** 18, r: 9, p: 1 })).toBe(false);
    expect(isScryptCostAccepted({ n: 2 ** 10, r: 64, p: 64 })).toBe(true);
    expect(isScryptCostAccepted({ n: 2, r: 65, p: 1 })).toBe(false);
    expect(isScryptCostAccepted({ n: 2, r: 1, p: 65 })).toBe(false);
  });

  it.each<ScryptCost>([
    { n: 0, r: 8, p: 1 },
    { n: 1, r: 8, p: 1 },
    { n: 15, r: 8, p: 1 },
    { n: -16, r: 8, p: 1 },
    { n: 16, r: 0, p: 1 },
    { n: 16, r: 8, p: 0 },
    { n: 16, r: 1.5, p: 1 },
    { n: Number.NaN, r: 8, p: 1 },
    { n: Number.POSITIVE_INFINITY, r: 8, p: 1 },
    { n: 2 ** 16, r: 1, p: 1 },
  ])('is refused where scrypt has none such: %o', (cost) => {
    expect(isScryptCostAccepted(cost)).toBe(false);
  });

  it('at the bounds of what RFC 7914 allows is one that every backend takes', () => {
    for (const [, backend] of BACKENDS) {
      for (const cost of [
        { n: 2, r: 1, p: 1 },
        { n: 2 ** 15, r: 1, p: 1 },
        { n: 2, r: 1, p: 64 },
      ]) {
        expect(isScryptCostAccepted(cost)).toBe(true);
        expect(backend.scrypt(counting(0, 3), counting(0, 32), cost, 32).length).toBe(32);
      }
    }
  });

  it('of another kind is a mistake of our own when a file is sealed', () => {
    const [, backend] = BACKENDS[0]!;
    const seal = (under: typeof passphrase, cost?: ScryptCost): unknown =>
      encodeSealedKeyFile(backend, new SeededRng(1), goldenIdentity(backend), under, cost);
    expect(() => seal(passphrase, { n: 2 ** 30, r: 8, p: 1 })).toThrow('a cost that would be refused');
  });
});
