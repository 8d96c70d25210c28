import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../base/bytes.ts';
import type { WallMs } from '../../../base/time.ts';
import type { CryptoBackend } from '../../../crypto/backend.ts';
import type { Identity } from '../../../crypto/identity.ts';
import { createIdentity, withNextAddress } from '../../../crypto/identity.ts';
import type { IdentityProfile } from '../../../crypto/records.ts';
import {
  compareRecords,
  isExpired,
  isRecordError,
  nextSequence,
  signEndpointRecord,
  signIdentityRecord,
  verifyEndpointRecord,
  verifyIdentityRecord,
} from '../../../crypto/records.ts';
import { SeededRng } from '../../../sim/rng.ts';
import type { EndpointRecord, EndpointRecordFields, IdentityRecord } from '../../../wire/records.ts';
import { encodeEndpointRecord, encodeIdentityRecord } from '../../../wire/records.ts';
import { anyCapabilities, anyEndpointRecord, anyHomes, anyName, anyTags } from '../wire/record-arbitraries.ts';
import { BACKENDS, goldenIdentity, withNodes } from './fixtures.ts';
import { ENDPOINT_RECORD, IDENTITY_RECORD } from './golden.ts';

const wall = (ms: number): WallMs => ms as WallMs;

const anyProfile: fc.Arbitrary<IdentityProfile> = fc.record({
  sequence: fc.maxSafeNat(),
  name: anyName,
  tags: anyTags,
  capabilities: anyCapabilities,
  homes: anyHomes,
});

const profile: IdentityProfile = {
  sequence: 1_800_000_000_000,
  name: 'alice',
  tags: ['lab-2', 'gpu', 'gpu'],
  capabilities: ['warren:echo', 'http/1.1'],
  homes: [
    {
      identityKey: new Uint8Array(32).fill(0xaa),
      staticKey: new Uint8Array(32).fill(0xbb),
      host: 'Rendezvous.example',
      port: 4440,
    },
  ],
};

const content: Omit<EndpointRecordFields, 'identityKey'> = {
  sequence: 1_800_000_000_001,
  expires: wall(1_800_000_600_000),
  public: true,
  endpoints: [
    { kind: 'direct', endpoint: { family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 4440 } },
    { kind: 'direct', endpoint: { family: 6, address: fromHex('20010db8000000000000000000000001'), port: 4440 } },
    { kind: 'relayed', relay: new Uint8Array(32).fill(0xcc), route: 0x0102_0304 },
  ],
};

function identityRecord(identity: Identity, changes: Partial<IdentityProfile> = {}): IdentityRecord {
  const record = signIdentityRecord(identity, { ...profile, ...changes });
  if (isRecordError(record)) throw new Error(record.reason);
  return record;
}

function endpointRecord(identity: Identity, changes: Partial<EndpointRecordFields> = {}): EndpointRecord {
  const record = signEndpointRecord(identity, { ...content, ...changes });
  if (isRecordError(record)) throw new Error(record.reason);
  return record;
}

/** Signs whatever fields it is given, as a hostile owner would. */
function forged(backend: CryptoBackend, changes: Partial<IdentityRecord>): Uint8Array {
  const identity = goldenIdentity(backend);
  const { kind, signature, ...fields } = { ...identityRecord(identity), ...changes };
  const hostile = { ...identity, address: fields.address, counter: fields.counter };
  return encodeIdentityRecord(identityRecord(hostile, fields));
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const bent = bytes.slice();
  bent[bit >> 3]! ^= 1 << (bit & 7);
  return bent;
}

describe.each(BACKENDS)('records, with %s', (name, backend) => {
  const identity = goldenIdentity(backend);
  // The portable backend takes a millisecond for what the other does in a tenth.
  const runs = name === 'noble' ? 15 : 100;

  it('are, byte for byte, the golden ones', () => {
    expect(toHex(encodeIdentityRecord(identityRecord(identity)))).toBe(IDENTITY_RECORD);
    expect(toHex(encodeEndpointRecord(endpointRecord(identity)))).toBe(ENDPOINT_RECORD);
  });

  it('are believed when they are the golden ones', () => {
    expect(verifyIdentityRecord(backend, fromHex(IDENTITY_RECORD))).toEqual(identityRecord(identity));
    expect(verifyEndpointRecord(backend, fromHex(ENDPOINT_RECORD))).toEqual(endpointRecord(identity));
  });

  it('are believed whatever they say, and not with any one bit flipped', () => {
    fc.assert(
      fc.property(fc.nat(), anyProfile, fc.nat(), (seed, said, bit) => {
        const owner = createIdentity(backend, new SeededRng(seed), seed & 0xffff);
        const record = signIdentityRecord(owner, said);
        if (isRecordError(record)) {
          expect(record.reason).toBe('too-long');
          return;
        }
        const bytes = encodeIdentityRecord(record);
        expect(verifyIdentityRecord(backend, bytes)).toEqual(record);
        expect(verifyIdentityRecord(backend, flipped(bytes, bit % (8 * bytes.length)))).toMatchObject({
          kind: 'record-error',
        });
      }),
      { seed: 1, numRuns: runs },
    );
  });

  it('of endpoints are believed whatever they say, and not with any one bit flipped', () => {
    fc.assert(
      fc.property(anyEndpointRecord, fc.nat(), (said, bit) => {
        const record = endpointRecord(identity, said);
        const bytes = encodeEndpointRecord(record);
        expect(verifyEndpointRecord(backend, bytes)).toEqual(record);
        expect(verifyEndpointRecord(backend, flipped(bytes, bit % (8 * bytes.length)))).toMatchObject({
          kind: 'record-error',
        });
      }),
      { seed: 2, numRuns: runs },
    );
  });

  it('of one kind do not pass for the other', () => {
    expect(verifyIdentityRecord(backend, fromHex(ENDPOINT_RECORD))).toMatchObject({ reason: 'unknown-type' });
    expect(verifyEndpointRecord(backend, fromHex(IDENTITY_RECORD))).toMatchObject({ reason: 'unknown-type' });
  });

  it('are refused when another key signed them', () => {
    const other = createIdentity(backend, new SeededRng(1), 7);
    const bytes = encodeIdentityRecord({
      ...identityRecord(identity),
      signature: identityRecord({ ...identity, signing: { ...identity.signing, sign: (m) => other.signing.sign(m) } })
        .signature,
    });
    expect(verifyIdentityRecord(backend, bytes)).toEqual({ kind: 'record-error', reason: 'bad-signature' });
  });

  it('are refused when they claim an address that their key does not give, however well signed', () => {
    for (const changes of [{ address: { network: 7, node: 0x7f3a_19c2 } }, { counter: 1 }]) {
      expect(verifyIdentityRecord(backend, forged(backend, changes))).toEqual({
        kind: 'record-error',
        reason: 'address-not-derived',
      });
    }
  });

  it('are refused when their counter gives a node that nobody may have', () => {
    const skewed = withNodes(backend, () => 200);
    const bytes = forged(backend, { address: { network: 7, node: 200 } });
    expect(verifyIdentityRecord(skewed, bytes)).toEqual({ kind: 'record-error', reason: 'address-reserved' });
  });

  it('may claim any counter that gives their address', () => {
    const moved = withNextAddress(backend, identity)!;
    const record = identityRecord(moved);
    expect(record.counter).toBe(1);
    expect(verifyIdentityRecord(backend, encodeIdentityRecord(record))).toEqual(record);
  });
});

describe('an identity record, bit by bit', () => {
  it('is refused with any one of its bits flipped', () => {
    const [, backend] = BACKENDS[0]!;
    const bytes = fromHex(IDENTITY_RECORD);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      expect(verifyIdentityRecord(backend, flipped(bytes, bit)), `bit ${bit}`).toMatchObject({ kind: 'record-error' });
    }
  });
});

describe('what an owner says of itself', () => {
  const identity = goldenIdentity(BACKENDS[0]![1]);

  it('is put in order, each tag and capability once', () => {
    const record = identityRecord(identity, { tags: ['b', 'a', 'b'], capabilities: ['b/1', 'a/1', 'a/1'] });
    expect(record.tags).toEqual(['a', 'b']);
    expect(record.capabilities).toEqual(['a/1', 'b/1']);
  });

  it.each<[string, Partial<IdentityProfile>]>([
    ['bad-text', { name: 'Alice' }],
    ['bad-text', { tags: [''] }],
    ['too-many', { tags: [...'abcdefghi'] }],
    ['out-of-range', { sequence: 2 ** 53 }],
    ['too-long', { capabilities: [...'abcdefgh'].map((c) => c.repeat(48)), tags: [...'abc'].map((c) => c.repeat(32)) }],
  ])('is refused as %s where no record can say it', (reason, changes) => {
    expect(signIdentityRecord(identity, { ...profile, ...changes })).toEqual({ kind: 'record-error', reason });
  });

  it('about its endpoints is refused where no record can say it', () => {
    const endpoints = Array(17).fill(content.endpoints[0]);
    expect(signEndpointRecord(identity, { ...content, endpoints })).toEqual({
      kind: 'record-error',
      reason: 'too-many',
    });
  });
});

describe('an endpoint record', () => {
  it('is fresh until the moment it names', () => {
    const record = endpointRecord(goldenIdentity(BACKENDS[0]![1]), { expires: wall(1000) });
    expect([999, 1000, 1001].map((now) => isExpired(record, wall(now)))).toEqual([false, true, true]);
  });
});

describe('the next sequence number', () => {
  it.each<[string, number | undefined, number, number | undefined]>([
    ['is the clock at first', undefined, 1_800_000_000_000, 1_800_000_000_000],
    ['is the clock where that is further on', 5, 1_800_000_000_000, 1_800_000_000_000],
    ['is one more where the clock stands still', 1_800_000_000_000, 1_800_000_000_000, 1_800_000_000_001],
    ['is one more where the clock was set back', 1_900_000_000_000, 1_800_000_000_000, 1_900_000_000_001],
    ['is a whole number whatever the clock says', undefined, 1.5, 1],
    ['is not negative before 1970', undefined, -1, 0],
    ['goes up to 2^53 - 1', 2 ** 53 - 2, 0, 2 ** 53 - 1],
    ['stays below 2^53 under a clock gone mad', 1, 2 ** 60, 2 ** 53 - 1],
    ['is none after 2^53 - 1', 2 ** 53 - 1, 0, undefined],
  ])('%s', (_, last, now, next) => {
    expect(nextSequence(last, wall(now))).toBe(next);
  });
});

describe('an incoming record', () => {
  const [, backend] = BACKENDS[0]!;
  const identity = goldenIdentity(backend);
  const known = identityRecord(identity, { sequence: 10 });

  it('is newer or older by its sequence number alone', () => {
    expect(compareRecords(known, identityRecord(identity, { sequence: 11, name: 'bob' }))).toBe('newer');
    expect(compareRecords(known, identityRecord(identity, { sequence: 9 }))).toBe('older');
  });

  it('is the same when its bytes are', () => {
    expect(compareRecords(known, identityRecord(identity, { sequence: 10 }))).toBe('same');
  });

  it('is in conflict when it says something else under the same number', () => {
    expect(compareRecords(known, identityRecord(identity, { sequence: 10, name: 'bob' }))).toBe('conflict');
    const [first, second] = [1, 2].map((ms) => endpointRecord(identity, { sequence: 3, expires: wall(ms) }));
    expect(compareRecords(first!, second!)).toBe('conflict');
  });

  it('of another key has no order to it', () => {
    const other = createIdentity(backend, new SeededRng(3), 7);
    expect(compareRecords(known, identityRecord(other, { sequence: 11 }))).toBe('other-identity');
  });
});
