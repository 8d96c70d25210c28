import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascii, concat } from '../../../base/bytes.ts';
import type { WallMs } from '../../../base/time.ts';
import type { DecodeReason } from '../../../wire/decode-error.ts';
import { isDecodeError } from '../../../wire/decode-error.ts';
import type { EndpointRecord, IdentityRecord, NodeEndpoint } from '../../../wire/records.ts';
import {
  decodeEndpointRecord,
  decodeIdentityRecord,
  encodeEndpointRecord,
  encodeEndpointRecordBody,
  encodeIdentityRecord,
  encodeIdentityRecordBody,
  endpointRecordFault,
  identityRecordFault,
} from '../../../wire/records.ts';
import { anyEndpointRecord, anyIdentityRecord } from './record-arbitraries.ts';

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const text = (value: string): Uint8Array => concat(Uint8Array.of(value.length), ascii(value));
const many = (...items: readonly Uint8Array[]): Uint8Array => concat(Uint8Array.of(items.length), ...items);

const home = { identityKey: filled(32, 3), staticKey: filled(32, 4), host: 'Home.example', port: 4440 };

const identityRecord: IdentityRecord = {
  kind: 'identity-record',
  sequence: 2 ** 53 - 1,
  address: { network: 7, node: 0x7f3a_19c2 },
  counter: 1,
  identityKey: filled(32, 1),
  staticKey: filled(32, 2),
  name: 'alice',
  tags: ['gpu', 'gpu-2'],
  capabilities: ['http/1.1', 'warren:echo'],
  homes: [home],
  signature: filled(64, 9),
};

const direct4: NodeEndpoint = {
  kind: 'direct',
  endpoint: { family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 4440 },
};
const relayed: NodeEndpoint = { kind: 'relayed', relay: filled(32, 5), route: 0xfffe_fdfc };

const endpointRecord: EndpointRecord = {
  kind: 'endpoint-record',
  sequence: 5,
  identityKey: filled(32, 1),
  expires: 1_800_000_000_000 as WallMs,
  public: true,
  endpoints: [direct4, relayed],
  signature: filled(64, 9),
};

/** An identity record put together by hand, so that each part can be bent on its own. */
function identityBytes(parts: Partial<Record<keyof typeof IDENTITY_PARTS, Uint8Array>> = {}): Uint8Array {
  return concat(...Object.values({ ...IDENTITY_PARTS, ...parts }));
}

const IDENTITY_PARTS = {
  kind: Uint8Array.of(1),
  version: Uint8Array.of(1),
  sequence: Uint8Array.of(0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  address: Uint8Array.of(0x00, 0x07, 0x7f, 0x3a, 0x19, 0xc2),
  counter: Uint8Array.of(1),
  identityKey: filled(32, 1),
  staticKey: filled(32, 2),
  name: text('alice'),
  tags: many(text('gpu'), text('gpu-2')),
  capabilities: many(text('http/1.1'), text('warren:echo')),
  homes: many(concat(filled(32, 3), filled(32, 4), text('Home.example'), Uint8Array.of(0x11, 0x58))),
  signature: filled(64, 9),
};

function endpointBytes(parts: Partial<Record<keyof typeof ENDPOINT_PARTS, Uint8Array>> = {}): Uint8Array {
  return concat(...Object.values({ ...ENDPOINT_PARTS, ...parts }));
}

const ENDPOINT_PARTS = {
  kind: Uint8Array.of(2),
  version: Uint8Array.of(1),
  sequence: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 5),
  identityKey: filled(32, 1),
  expires: Uint8Array.of(0x00, 0x00, 0x01, 0xa3, 0x18, 0x5c, 0x50, 0x00),
  flags: Uint8Array.of(1),
  endpoints: many(
    Uint8Array.of(4, 192, 0, 2, 1, 0x11, 0x58),
    concat(Uint8Array.of(0), filled(32, 5), Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc)),
  ),
  signature: filled(64, 9),
};

describe('an identity record', () => {
  it('has the layout of PROTOCOL.md §8', () => {
    expect(encodeIdentityRecord(identityRecord)).toEqual(identityBytes());
    expect(decodeIdentityRecord(identityBytes())).toEqual(identityRecord);
  });

  it('signs everything before its signature', () => {
    expect(encodeIdentityRecordBody(identityRecord)).toEqual(identityBytes().subarray(0, -64));
  });

  it('comes back from its bytes, whatever it says', () => {
    fc.assert(
      fc.property(anyIdentityRecord, (record) => {
        expect(decodeIdentityRecord(encodeIdentityRecord(record))).toEqual(record);
      }),
      { seed: 1 },
    );
  });

  it('has one encoding: bytes with one changed are refused or say something else', () => {
    fc.assert(
      fc.property(anyIdentityRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, at, change) => {
        const bytes = encodeIdentityRecord(record);
        bytes[at % bytes.length]! ^= change;
        const decoded = decodeIdentityRecord(bytes);
        if (!isDecodeError(decoded)) expect(encodeIdentityRecord(decoded)).toEqual(bytes);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('is refused however it is cut short, and with a byte more', () => {
    const bytes = identityBytes();
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeIdentityRecord(bytes.subarray(0, length))).toMatchObject({ kind: 'decode-error' });
    }
    expect(decodeIdentityRecord(identityBytes({ signature: filled(63, 9) }))).toMatchObject({ reason: 'truncated' });
    expect(decodeIdentityRecord(identityBytes({ signature: filled(65, 9) }))).toMatchObject({
      reason: 'trailing-bytes',
    });
  });

  it('owns its bytes: it stays what it was when the buffer it came in is used again', () => {
    const bytes = identityBytes();
    const record = decodeIdentityRecord(bytes);
    bytes.fill(0xff);
    expect(record).toEqual(identityRecord);
  });

  it.each<[DecodeReason, string, Parameters<typeof identityBytes>[0]]>([
    ['unknown-type', 'the kind of an endpoint record', { kind: Uint8Array.of(2) }],
    ['unknown-version', 'another version', { version: Uint8Array.of(2) }],
    ['out-of-range', 'a sequence number of 2^53', { sequence: Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0) }],
    ['bad-text', 'an upper-case letter in the name', { name: text('Alice') }],
    ['bad-text', 'a byte above ASCII in the name', { name: Uint8Array.of(1, 0xe9) }],
    ['bad-text', 'a line break at the end of the name', { name: text('alice\n') }],
    ['too-long', 'a name of 64 characters', { name: text('a'.repeat(64)) }],
    ['bad-text', 'an empty tag', { tags: many(text('')) }],
    ['too-long', 'a tag of 33 characters', { tags: many(text('a'.repeat(33))) }],
    ['bad-text', 'a full stop in a tag', { tags: many(text('a.b')) }],
    ['not-ascending', 'tags out of order', { tags: many(text('b'), text('a')) }],
    ['not-ascending', 'a tag twice', { tags: many(text('a'), text('a')) }],
    ['not-ascending', 'a longer tag before its prefix', { tags: many(text('ab'), text('a')) }],
    ['too-many', 'nine tags', { tags: many(...[...'abcdefghi'].map(text)) }],
    ['too-long', 'a capability of 49 characters', { capabilities: many(text('a'.repeat(49))) }],
    ['bad-text', 'an underscore in a capability', { capabilities: many(text('a_b')) }],
    ['not-ascending', 'a capability twice', { capabilities: many(text('a/1'), text('a/1')) }],
    ['too-many', 'nine capabilities', { capabilities: many(...[...'abcdefghi'].map(text)) }],
    ['too-many', 'three homes', { homes: Uint8Array.of(3) }],
    ['bad-text', 'a home without a host', { homes: many(concat(filled(64, 3), text(''), Uint8Array.of(0, 1))) }],
    ['bad-text', 'a space in a host', { homes: many(concat(filled(64, 3), text('a b'), Uint8Array.of(0, 1))) }],
    ['too-long', 'a host of 65 characters', { homes: many(concat(filled(64, 3), text('a'.repeat(65)))) }],
  ])('is refused as %s: %s', (reason, _, parts) => {
    expect(decodeIdentityRecord(identityBytes(parts))).toEqual({ kind: 'decode-error', reason });
  });

  it('is at most 600 bytes long', () => {
    const capabilities = [...'abcdefgh'].map((first) => first.padEnd(48, '-'));
    const tags = ['t'.repeat(32)];
    const fitting = { ...identityRecord, name: 'n'.repeat(26), tags, capabilities, homes: [] };
    expect(encodeIdentityRecord(fitting).length).toBe(600);
    const bytes = encodeIdentityRecord(fitting);
    expect(decodeIdentityRecord(bytes)).toEqual(fitting);
    expect(identityRecordFault({ ...fitting, name: `${fitting.name}n` })).toBe('too-long');
    expect(decodeIdentityRecord(concat(bytes, Uint8Array.of(0)))).toMatchObject({ reason: 'too-long' });
  });
});

describe('fields that no identity record can hold', () => {
  it.each<[DecodeReason, Partial<IdentityRecord>]>([
    ['out-of-range', { sequence: 2 ** 53 }],
    ['out-of-range', { sequence: -1 }],
    ['out-of-range', { sequence: 0.5 }],
    ['out-of-range', { sequence: Number.NaN }],
    ['out-of-range', { address: { network: 65536, node: 256 } }],
    ['out-of-range', { address: { network: 0, node: 2 ** 32 } }],
    ['out-of-range', { counter: 256 }],
    ['length-mismatch', { identityKey: filled(31, 1) }],
    ['length-mismatch', { staticKey: filled(33, 1) }],
    ['bad-text', { name: 'Alice' }],
    ['bad-text', { name: 'naïve' }],
    ['too-long', { name: 'a'.repeat(64) }],
    ['bad-text', { tags: [''] }],
    ['not-ascending', { tags: ['b', 'a'] }],
    ['not-ascending', { capabilities: ['a', 'a'] }],
    ['too-many', { capabilities: [...'abcdefghi'] }],
    ['too-many', { homes: [home, home, home] }],
    ['length-mismatch', { homes: [{ ...home, staticKey: filled(0, 0) }] }],
    ['out-of-range', { homes: [{ ...home, port: 65536 }] }],
    ['bad-text', { homes: [{ ...home, host: '' }] }],
    ['too-long', { homes: [{ ...home, host: 'h'.repeat(65) }] }],
  ])('are found: %s in %o', (reason, change) => {
    expect(identityRecordFault({ ...identityRecord, ...change })).toBe(reason);
    expect(() => encodeIdentityRecordBody({ ...identityRecord, ...change })).toThrow('an identity record can say this');
  });
});

describe('an endpoint record', () => {
  it('has the layout of PROTOCOL.md §8', () => {
    expect(encodeEndpointRecord(endpointRecord)).toEqual(endpointBytes());
    expect(decodeEndpointRecord(endpointBytes())).toEqual(endpointRecord);
  });

  it('signs everything before its signature', () => {
    expect(encodeEndpointRecordBody(endpointRecord)).toEqual(endpointBytes().subarray(0, -64));
  });

  it('comes back from its bytes, whatever it says', () => {
    fc.assert(
      fc.property(anyEndpointRecord, (record) => {
        expect(decodeEndpointRecord(encodeEndpointRecord(record))).toEqual(record);
      }),
      { seed: 3 },
    );
  });

  it('has one encoding: bytes with one changed are refused or say something else', () => {
    fc.assert(
      fc.property(anyEndpointRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, at, change) => {
        const bytes = encodeEndpointRecord(record);
        bytes[at % bytes.length]! ^= change;
        const decoded = decodeEndpointRecord(bytes);
        if (!isDecodeError(decoded)) expect(encodeEndpointRecord(decoded)).toEqual(bytes);
      }),
      { seed: 4, numRuns: 500 },
    );
  });

  it('is refused however it is cut short', () => {
    const bytes = endpointBytes();
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeEndpointRecord(bytes.subarray(0, length))).toMatchObject({ kind: 'decode-error' });
    }
  });

  it('owns its bytes: it stays what it was when the buffer it came in is used again', () => {
    const bytes = endpointBytes();
    const record = decodeEndpointRecord(bytes);
    bytes.fill(0xff);
    expect(record).toEqual(endpointRecord);
  });

  it.each<[DecodeReason, string, Parameters<typeof endpointBytes>[0]]>([
    ['unknown-type', 'the kind of an identity record', { kind: Uint8Array.of(1) }],
    ['unknown-version', 'version 0', { version: Uint8Array.of(0) }],
    ['out-of-range', 'an expiry of 2^53', { expires: Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0) }],
    ['reserved-bits', 'a flag that means nothing', { flags: Uint8Array.of(2) }],
    ['too-many', 'seventeen endpoints', { endpoints: Uint8Array.of(17) }],
    ['unknown-type', 'an endpoint of family 5', { endpoints: Uint8Array.of(1, 5) }],
    [
      'not-shortest-form',
      'a v4-mapped address as family 6',
      { endpoints: many(concat(Uint8Array.of(6), filled(10, 0), Uint8Array.of(255, 255, 1, 2, 3, 4, 0, 1))) },
    ],
    ['trailing-bytes', 'bytes after the signature', { signature: filled(65, 9) }],
  ])('is refused as %s: %s', (reason, _, parts) => {
    expect(decodeEndpointRecord(endpointBytes(parts))).toEqual({ kind: 'decode-error', reason });
  });

  it('is at most 600 bytes long, however many endpoints that leaves room for', () => {
    const v6 = filled(16, 0x20);
    const direct6: NodeEndpoint = { kind: 'direct', endpoint: { family: 6, address: v6, port: 4440 } };
    const endpoints = [...Array(12).fill(relayed), direct6, direct4, direct4, direct4] as NodeEndpoint[];
    const bytes = encodeEndpointRecord({ ...endpointRecord, endpoints });
    expect(bytes.length).toBe(600);
    expect(decodeEndpointRecord(bytes)).toEqual({ ...endpointRecord, endpoints });
    expect(endpointRecordFault({ ...endpointRecord, endpoints: [...endpoints.slice(0, 15), direct6] })).toBe(
      'too-long',
    );
    expect(endpointRecordFault({ ...endpointRecord, endpoints: [...endpoints, direct4] })).toBe('too-many');
    expect(decodeEndpointRecord(concat(bytes, Uint8Array.of(0)))).toMatchObject({ reason: 'too-long' });
  });
});

describe('fields that no endpoint record can hold', () => {
  const direct = (family: 4 | 6, address: Uint8Array, port: number): Partial<EndpointRecord> => {
    return { endpoints: [{ kind: 'direct', endpoint: { family, address, port } }] };
  };

  it.each<[DecodeReason, Partial<EndpointRecord>]>([
    ['out-of-range', { sequence: 2 ** 53 }],
    ['out-of-range', { expires: -1 as WallMs }],
    ['out-of-range', { expires: Number.POSITIVE_INFINITY as WallMs }],
    ['length-mismatch', { identityKey: filled(0, 1) }],
    ['length-mismatch', direct(4, filled(16, 1), 1)],
    ['length-mismatch', direct(6, filled(4, 1), 1)],
    ['out-of-range', direct(4, filled(4, 1), 65536)],
    ['not-shortest-form', direct(6, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4), 1)],
    ['length-mismatch', { endpoints: [{ kind: 'relayed', relay: filled(31, 1), route: 1 }] }],
    ['out-of-range', { endpoints: [{ kind: 'relayed', relay: filled(32, 1), route: 2 ** 32 }] }],
  ])('are found: %s in %o', (reason, change) => {
    expect(endpointRecordFault({ ...endpointRecord, ...change })).toBe(reason);
    expect(() => encodeEndpointRecordBody({ ...endpointRecord, ...change })).toThrow('an endpoint record can say this');
  });
});
