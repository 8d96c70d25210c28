import { assert } from '../base/assert.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { createIdentity, type Identity } from '../crypto/identity.ts';
import { isRecordError, signIdentityRecord } from '../crypto/records.ts';
import { SystemRng } from '../daemon/system-rng.ts';
import type { PeerKeys } from '../transport/handshake.ts';
import { encodeIdentityRecord } from '../wire/records.ts';

export const benchRng: SystemRng = new SystemRng();

/** Somebody new who takes part in a benchmark, with a record like a real one's. */
export interface Party {
  readonly identity: Identity;
  readonly record: Uint8Array;
  readonly keys: PeerKeys;
}

export function makeParty(crypto: CryptoBackend): Party {
  const identity = createIdentity(crypto, benchRng, 0);
  const record = signIdentityRecord(identity, {
    sequence: 1,
    name: 'bench',
    tags: ['bench'],
    capabilities: ['http', 'stdio'],
    homes: [],
  });
  assert(!isRecordError(record), 'a record can say this');
  return {
    identity,
    record: encodeIdentityRecord(record),
    keys: { identityKey: identity.signing.publicKey, staticKey: identity.exchange.publicKey },
  };
}
