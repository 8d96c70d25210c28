import { assert } from '../base/assert.ts';
import { ascii } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';
import { randomBytes } from '../base/rng.ts';
import type { Address } from '../wire/address.ts';
import { isAssignableNode, NETWORK_MAX } from '../wire/address.ts';
import type { CryptoBackend, Ed25519KeyPair, X25519KeyPair } from './backend.ts';
import { Secret } from './secret.ts';

/**
 * Who a node is: an Ed25519 key that signs and names it, an X25519 key for the handshake, and the address that follows from the
 * first. The two keys are independent; the identity record, signed by the first, ties the second to it.
 */
export interface Identity {
  readonly address: Address;
  /** Which of the addresses its key derives to is its own (PROTOCOL.md §9). */
  readonly counter: number;
  /** Ed25519: its public half is the identity key. */
  readonly signing: Ed25519KeyPair;
  /** X25519: its public half is the static key. */
  readonly exchange: X25519KeyPair;
  /** What a key file keeps. */
  readonly secrets: IdentitySecrets;
}

export interface IdentitySecrets {
  /** The Ed25519 seed. */
  readonly signingSeed: Secret;
  /** The X25519 secret, unclamped as it was drawn. */
  readonly exchangeSecret: Secret;
}

export const SIGNING_SEED_BYTES = 32;
export const EXCHANGE_SECRET_BYTES = 32;
export const COUNTER_MAX = 255;

const ADDRESS_LABEL: Uint8Array = ascii('warren address v1');

/** The address of a key under one counter; `undefined` where that node is reserved, so that no node may have it. */
export function deriveAddress(
  backend: CryptoBackend,
  identityKey: Uint8Array,
  counter: number,
  network: number,
): Address | undefined {
  assert(identityKey.length === 32, 'an identity key has 32 bytes');
  assert(Number.isInteger(counter) && counter >= 0 && counter <= COUNTER_MAX, 'a counter has 8 bits');
  assert(Number.isInteger(network) && network >= 0 && network <= NETWORK_MAX, 'a network has 16 bits');
  const hash = backend.sha256(ADDRESS_LABEL, identityKey, Uint8Array.of(counter));
  const node = ((hash[0]! << 24) | (hash[1]! << 16) | (hash[2]! << 8) | hash[3]!) >>> 0;
  return isAssignableNode(node) ? { network, node } : undefined;
}

/** The lowest counter that gives a node of its own. `undefined` where none does, which 256 hashes in a row have to agree on. */
export function firstCounter(backend: CryptoBackend, identityKey: Uint8Array): number | undefined {
  return lowestCounter(backend, identityKey, 0);
}

/** The counter to try after `counter`, for a registry that says the id is taken; `undefined` where all 256 are used up. */
export function nextCounter(backend: CryptoBackend, identityKey: Uint8Array, counter: number): number | undefined {
  return lowestCounter(backend, identityKey, counter + 1);
}

function lowestCounter(backend: CryptoBackend, identityKey: Uint8Array, from: number): number | undefined {
  for (let counter = from; counter <= COUNTER_MAX; counter++) {
    if (deriveAddress(backend, identityKey, counter, 0) !== undefined) return counter;
  }
  return undefined;
}

/** A new identity at its key's first address. */
export function createIdentity(backend: CryptoBackend, rng: Rng, network: number): Identity {
  const secrets: IdentitySecrets = {
    signingSeed: new Secret(randomBytes(rng, SIGNING_SEED_BYTES)),
    exchangeSecret: new Secret(randomBytes(rng, EXCHANGE_SECRET_BYTES)),
  };
  const signing = backend.ed25519(secrets.signingSeed);
  const counter = firstCounter(backend, signing.publicKey);
  // One key in 2^6144 has none; a hash that says so is broken.
  assert(counter !== undefined, 'a key has an address');
  return assemble(backend, secrets, signing, counter, network)!;
}

/**
 * The identity that kept secrets and a kept counter stand for; `undefined` where that counter gives a reserved node. It keeps
 * the secrets it was given.
 */
export function identityFromSecrets(
  backend: CryptoBackend,
  secrets: IdentitySecrets,
  counter: number,
  network: number,
): Identity | undefined {
  return assemble(backend, secrets, backend.ed25519(secrets.signingSeed), counter, network);
}

/** The same keys at their next address. Only before the address was ever published; `undefined` where none is left. */
export function withNextAddress(backend: CryptoBackend, identity: Identity): Identity | undefined {
  const counter = nextCounter(backend, identity.signing.publicKey, identity.counter);
  if (counter === undefined) return undefined;
  const address = deriveAddress(backend, identity.signing.publicKey, counter, identity.address.network);
  assert(address !== undefined, 'the next counter has an address');
  return { ...identity, address, counter };
}

/** Overwrites the secrets; the copies that the key pairs hold go with them. Do not use the identity afterwards. */
export function wipeIdentity(identity: Identity): void {
  identity.secrets.signingSeed.wipe();
  identity.secrets.exchangeSecret.wipe();
}

function assemble(
  backend: CryptoBackend,
  secrets: IdentitySecrets,
  signing: Ed25519KeyPair,
  counter: number,
  network: number,
): Identity | undefined {
  const address = deriveAddress(backend, signing.publicKey, counter, network);
  if (address === undefined) return undefined;
  return { address, counter, signing, exchange: backend.x25519(secrets.exchangeSecret), secrets };
}
