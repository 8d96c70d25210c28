import { assert } from '../base/assert.ts';
import { ascii, concat, equal, fromHex, toHex } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';
import { randomBytes } from '../base/rng.ts';
import type { Address } from '../wire/address.ts';
import { formatAddress, isAddressError, parseAddress, sameAddress } from '../wire/address.ts';
import { decodeUtf8, encodeUtf8 } from '../wire/utf8.ts';
import type { CryptoBackend, ScryptCost } from './backend.ts';
import { AEAD_KEY_BYTES, AEAD_NONCE_BYTES, AEAD_TAG_BYTES } from './backend.ts';
import type { Identity } from './identity.ts';
import {
  COUNTER_MAX,
  deriveAddress,
  EXCHANGE_SECRET_BYTES,
  identityFromSecrets,
  SIGNING_SEED_BYTES,
  wipeIdentity,
} from './identity.ts';
import { Secret } from './secret.ts';

/**
 * What a key file holds: an identity as JSON, its secrets in clear or sealed under a passphrase. Address, counter and public keys
 * stand there for people and for programs that only want to know whose file it is; they are checked against the secrets whenever
 * these are at hand.
 *
 * Sealed: key = scrypt(passphrase, salt), AES-256-GCM over the signing seed and the exchange secret. The associated data is the
 * file as it is written with `sealed` empty, so that no other field can be changed without the seal breaking.
 */

/** 128 MiB and a third of a second: the cost a guess at a passphrase should have. */
export const DEFAULT_SCRYPT_COST: ScryptCost = { n: 2 ** 17, r: 8, p: 1 };

/** Far above any key file; a larger one is something else. */
export const KEY_FILE_BYTES_MAX: number = 64 * 1024;

/** A file names its own cost, so a hostile one must not be able to ask for much more than the default does. */
const SCRYPT_MEMORY_BYTES_MAX: number = 256 * 1024 * 1024;
const SCRYPT_WORK_MAX: number = 2 ** 23;
const SCRYPT_R_MAX = 64;
const SCRYPT_P_MAX = 64;

const FORMAT = 'warren identity';
const VERSION = 1;
const KEY_BYTES = 32;
const SALT_BYTES = 32;
const SECRET_BYTES = SIGNING_SEED_BYTES + EXCHANGE_SECRET_BYTES;

/** A key file that was read but not opened. */
export interface KeyFile {
  readonly kind: 'key-file';
  readonly address: Address;
  readonly counter: number;
  readonly identityKey: Uint8Array;
  readonly staticKey: Uint8Array;
  readonly protection: Clear | Sealed;
}

interface Clear {
  readonly kind: 'none';
  readonly signingSeed: Secret;
  readonly exchangeSecret: Secret;
}

interface Sealed {
  readonly kind: 'passphrase';
  readonly cost: ScryptCost;
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

export type KeyFileReason =
  | 'too-large'
  | 'not-json'
  | 'not-a-key-file'
  | 'unknown-version'
  | 'unknown-field'
  | 'missing-field'
  | 'bad-field'
  | 'cost-out-of-range'
  | 'address-mismatch'
  | 'key-mismatch'
  | 'passphrase-needed'
  | 'passphrase-wrong'
  | 'not-sealed';

export interface KeyFileError {
  readonly kind: 'key-file-error';
  readonly reason: KeyFileReason;
  /** The field it is about, where it is one of ours. What a file holds is never repeated: it may be a secret. */
  readonly field?: string;
}

export function isKeyFileError(value: object): value is KeyFileError {
  return 'kind' in value && value.kind === 'key-file-error';
}

/** One sentence for a person. */
export function describeKeyFileError(error: KeyFileError): string {
  switch (error.reason) {
    case 'too-large':
      return 'It is larger than any key file.';
    case 'not-json':
      return 'It is not valid JSON.';
    case 'not-a-key-file':
      return `It is not a key file: its "format" is not "${FORMAT}".`;
    case 'unknown-version':
      return `Its "version" is not ${VERSION}, the only one this program knows.`;
    case 'unknown-field':
      return `It holds a field that version ${VERSION} does not have.`;
    case 'missing-field':
      return `Its field "${error.field}" is missing.`;
    case 'bad-field':
      return `What stands in its field "${error.field}" cannot stand there.`;
    case 'cost-out-of-range':
      return 'The scrypt cost it asks for is not one this program is willing to pay.';
    case 'address-mismatch':
      return 'Its address does not follow from its identity key.';
    case 'key-mismatch':
      return 'Its public keys do not belong to its secrets.';
    case 'passphrase-needed':
      return 'It is sealed under a passphrase, and none was given.';
    case 'passphrase-wrong':
      return 'The passphrase is wrong, or the file was changed.';
    case 'not-sealed':
      return 'A passphrase was given, but the file is not sealed.';
  }
}

/** A passphrase as typed, in one spelling (NFC) whichever keyboard it came from; `undefined` where it is empty. */
export function passphraseFromText(text: string): Secret | undefined {
  return text === '' ? undefined : new Secret(encodeUtf8(text.normalize('NFC')));
}

/** Whether this program pays that cost, for its own files as for those it reads. */
export function isScryptCostAccepted(cost: ScryptCost): boolean {
  const { n, r, p } = cost;
  // RFC 7914 §2: n is a power of two above 1 and below 2^(128 r / 8).
  const exponent = Math.log2(n);
  if (!Number.isInteger(exponent) || exponent < 1 || exponent >= 16 * r) return false;
  if (!isWholeUpTo(r, SCRYPT_R_MAX) || !isWholeUpTo(p, SCRYPT_P_MAX) || r < 1 || p < 1) return false;
  return 128 * n * r <= SCRYPT_MEMORY_BYTES_MAX && n * r * p <= SCRYPT_WORK_MAX;
}

/** The file of an identity with its secrets in clear: only its permissions protect it. */
export function encodeClearKeyFile(identity: Identity): Uint8Array {
  const { signingSeed, exchangeSecret } = identity.secrets;
  return render(statedBy(identity), {
    protection: 'none',
    signingSeed: toHex(signingSeed.expose()),
    exchangeSecret: toHex(exchangeSecret.expose()),
  });
}

/** The file of an identity with its secrets sealed. Blocks for as long as the cost says. */
export function encodeSealedKeyFile(
  backend: CryptoBackend,
  rng: Rng,
  identity: Identity,
  passphrase: Secret,
  cost: ScryptCost = DEFAULT_SCRYPT_COST,
): Uint8Array {
  assert(isScryptCostAccepted(cost), 'a cost that would be refused when the file is read');
  assert(passphrase.expose().length > 0, 'an empty passphrase seals nothing');
  const stated = statedBy(identity);
  const salt = randomBytes(rng, SALT_BYTES);
  const nonce = randomBytes(rng, AEAD_NONCE_BYTES);
  const plaintext = concat(identity.secrets.signingSeed.expose(), identity.secrets.exchangeSecret.expose());
  const sealed = new Uint8Array(SECRET_BYTES + AEAD_TAG_BYTES);
  const aad = render(stated, sealedFields(cost, salt, nonce, new Uint8Array(0)));
  withPassphraseKey(backend, passphrase, salt, cost, (aead) => aead.seal(nonce, aad, plaintext, sealed));
  plaintext.fill(0);
  return render(stated, sealedFields(cost, salt, nonce, sealed));
}

/** Strict: every field of its version is there, once it is, and no other. */
export function decodeKeyFile(bytes: Uint8Array): KeyFile | KeyFileError {
  if (bytes.length > KEY_FILE_BYTES_MAX) return refuse('too-large');
  const json = parseJson(bytes);
  if (!isObject(json)) return refuse(json === undefined ? 'not-json' : 'not-a-key-file');
  if (own(json, 'format') !== FORMAT) return refuse('not-a-key-file');
  if (own(json, 'version') !== VERSION) return refuse('unknown-version');
  const shape = fieldsFault(json, FILE_FIELDS);
  if (shape !== undefined) return shape;

  const address = addressField(json);
  if (address === undefined) return refuse('bad-field', 'address');
  const counter = own(json, 'counter');
  if (!isWholeUpTo(counter, COUNTER_MAX)) return refuse('bad-field', 'counter');
  const identityKey = hexField(json, 'identityKey', KEY_BYTES);
  if (identityKey === undefined) return refuse('bad-field', 'identityKey');
  const staticKey = hexField(json, 'staticKey', KEY_BYTES);
  if (staticKey === undefined) return refuse('bad-field', 'staticKey');
  const secrets = own(json, 'secrets');
  if (!isObject(secrets)) return refuse('bad-field', 'secrets');
  const protection = decodeSecrets(secrets);
  if (isKeyFileError(protection)) return protection;
  return { kind: 'key-file', address, counter, identityKey, staticKey, protection };
}

/**
 * The identity in a key file. A passphrase for a file in clear is refused rather than ignored: who gives one believes that the
 * file is sealed.
 */
export function openKeyFile(backend: CryptoBackend, file: KeyFile, passphrase?: Secret): Identity | KeyFileError {
  const derived = deriveAddress(backend, file.identityKey, file.counter, file.address.network);
  if (derived === undefined || !sameAddress(derived, file.address)) return refuse('address-mismatch');
  const secrets =
    file.protection.kind === 'none' ? file.protection : unseal(backend, file, file.protection, passphrase);
  if (isKeyFileError(secrets)) return secrets;
  if (file.protection.kind === 'none' && passphrase !== undefined) return refuse('not-sealed');
  const { signingSeed, exchangeSecret } = secrets;
  const identity = identityFromSecrets(backend, { signingSeed, exchangeSecret }, file.counter, file.address.network);
  if (identity === undefined) return refuse('key-mismatch');
  if (!equal(identity.signing.publicKey, file.identityKey) || !equal(identity.exchange.publicKey, file.staticKey)) {
    wipeIdentity(identity);
    return refuse('key-mismatch');
  }
  return identity;
}

function unseal(
  backend: CryptoBackend,
  file: KeyFile,
  protection: Sealed,
  passphrase: Secret | undefined,
): Clear | KeyFileError {
  if (passphrase === undefined) return refuse('passphrase-needed');
  const { cost, salt, nonce, sealed } = protection;
  const aad = render(file, sealedFields(cost, salt, nonce, new Uint8Array(0)));
  const plaintext = new Uint8Array(SECRET_BYTES);
  const opened = withPassphraseKey(backend, passphrase, salt, cost, (aead) => aead.open(nonce, aad, sealed, plaintext));
  if (opened !== SECRET_BYTES) return refuse('passphrase-wrong');
  const signingSeed = new Secret(plaintext.slice(0, SIGNING_SEED_BYTES));
  const exchangeSecret = new Secret(plaintext.slice(SIGNING_SEED_BYTES));
  plaintext.fill(0);
  return { kind: 'none', signingSeed, exchangeSecret };
}

function withPassphraseKey(
  backend: CryptoBackend,
  passphrase: Secret,
  salt: Uint8Array,
  cost: ScryptCost,
  use: (aead: ReturnType<CryptoBackend['aead']>) => number,
): number {
  const key = backend.scrypt(passphrase.expose(), salt, cost, AEAD_KEY_BYTES);
  const aead = backend.aead(key);
  key.fill(0);
  try {
    return use(aead);
  } finally {
    aead.wipe();
  }
}

type Stated = Pick<KeyFile, 'address' | 'counter' | 'identityKey' | 'staticKey'>;

function statedBy(identity: Identity): Stated {
  return {
    address: identity.address,
    counter: identity.counter,
    identityKey: identity.signing.publicKey,
    staticKey: identity.exchange.publicKey,
  };
}

function render(stated: Stated, secrets: Readonly<Record<string, string | number>>): Uint8Array {
  const file = {
    format: FORMAT,
    version: VERSION,
    address: formatAddress(stated.address),
    counter: stated.counter,
    identityKey: toHex(stated.identityKey),
    staticKey: toHex(stated.staticKey),
    secrets,
  };
  return ascii(`${JSON.stringify(file, undefined, 2)}\n`);
}

function sealedFields(
  cost: ScryptCost,
  salt: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
): Readonly<Record<string, string | number>> {
  return {
    protection: 'passphrase',
    kdf: 'scrypt',
    n: cost.n,
    r: cost.r,
    p: cost.p,
    salt: toHex(salt),
    cipher: 'AES-256-GCM',
    nonce: toHex(nonce),
    sealed: toHex(sealed),
  };
}

const FILE_FIELDS = ['format', 'version', 'address', 'counter', 'identityKey', 'staticKey', 'secrets'];
const CLEAR_FIELDS = ['protection', 'signingSeed', 'exchangeSecret'];
const SEALED_FIELDS = ['protection', 'kdf', 'n', 'r', 'p', 'salt', 'cipher', 'nonce', 'sealed'];

type Json = Readonly<Record<string, unknown>>;

function decodeSecrets(json: Json): Clear | Sealed | KeyFileError {
  const protection = own(json, 'protection');
  if (protection === 'none') return decodeClear(json);
  if (protection === 'passphrase') return decodeSealed(json);
  return refuse(protection === undefined ? 'missing-field' : 'bad-field', 'protection');
}

function decodeClear(json: Json): Clear | KeyFileError {
  const shape = fieldsFault(json, CLEAR_FIELDS);
  if (shape !== undefined) return shape;
  const signingSeed = hexField(json, 'signingSeed', SIGNING_SEED_BYTES);
  if (signingSeed === undefined) return refuse('bad-field', 'signingSeed');
  const exchangeSecret = hexField(json, 'exchangeSecret', EXCHANGE_SECRET_BYTES);
  if (exchangeSecret === undefined) return refuse('bad-field', 'exchangeSecret');
  return { kind: 'none', signingSeed: new Secret(signingSeed), exchangeSecret: new Secret(exchangeSecret) };
}

function decodeSealed(json: Json): Sealed | KeyFileError {
  const shape = fieldsFault(json, SEALED_FIELDS);
  if (shape !== undefined) return shape;
  if (own(json, 'kdf') !== 'scrypt') return refuse('bad-field', 'kdf');
  if (own(json, 'cipher') !== 'AES-256-GCM') return refuse('bad-field', 'cipher');
  const [n, r, p] = [own(json, 'n'), own(json, 'r'), own(json, 'p')];
  if (typeof n !== 'number') return refuse('bad-field', 'n');
  if (typeof r !== 'number') return refuse('bad-field', 'r');
  if (typeof p !== 'number') return refuse('bad-field', 'p');
  if (!isScryptCostAccepted({ n, r, p })) return refuse('cost-out-of-range');
  const salt = hexField(json, 'salt', SALT_BYTES);
  if (salt === undefined) return refuse('bad-field', 'salt');
  const nonce = hexField(json, 'nonce', AEAD_NONCE_BYTES);
  if (nonce === undefined) return refuse('bad-field', 'nonce');
  const sealed = hexField(json, 'sealed', SECRET_BYTES + AEAD_TAG_BYTES);
  if (sealed === undefined) return refuse('bad-field', 'sealed');
  return { kind: 'passphrase', cost: { n, r, p }, salt, nonce, sealed };
}

/** `undefined` for what is not UTF-8 or not JSON. */
function parseJson(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field of the object itself, never of its prototype. */
function own(json: Json, field: string): unknown {
  return Object.hasOwn(json, field) ? json[field] : undefined;
}

function fieldsFault(json: Json, fields: readonly string[]): KeyFileError | undefined {
  const missing = fields.find((field) => !Object.hasOwn(json, field));
  if (missing !== undefined) return refuse('missing-field', missing);
  return Object.keys(json).length > fields.length ? refuse('unknown-field') : undefined;
}

function addressField(json: Json): Address | undefined {
  const text = own(json, 'address');
  if (typeof text !== 'string') return undefined;
  const address = parseAddress(text);
  return isAddressError(address) ? undefined : address;
}

function hexField(json: Json, field: string, length: number): Uint8Array | undefined {
  const text = own(json, field);
  return typeof text === 'string' && text.length === 2 * length && /^[0-9a-f]*$/.test(text) ? fromHex(text) : undefined;
}

function isWholeUpTo(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

function refuse(reason: KeyFileReason, field?: string): KeyFileError {
  return field === undefined ? { kind: 'key-file-error', reason } : { kind: 'key-file-error', reason, field };
}
