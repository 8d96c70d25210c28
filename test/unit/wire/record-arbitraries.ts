import fc from 'fast-check';
import type { WallMs } from '../../../base/time.ts';
import { ipEndpoint } from '../../../wire/ip-endpoint.ts';
import { ascendingTexts } from '../../../wire/names.ts';
import type { EndpointRecord, Home, IdentityRecord, NodeEndpoint } from '../../../wire/records.ts';
import { endpointRecordFault, identityRecordFault } from '../../../wire/records.ts';

/** Records that obey every rule of the format; their signatures and addresses are any bytes. */

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

export const anyName: fc.Arbitrary<string> = fc.oneof(fc.constant(''), fc.stringMatching(/^[a-z0-9-]{1,63}$/));
export const anyTags: fc.Arbitrary<string[]> = fc.array(fc.stringMatching(/^[a-z0-9-]{1,32}$/), { maxLength: 8 });
export const anyCapabilities: fc.Arbitrary<string[]> = fc.array(fc.stringMatching(/^[a-z0-9./:-]{1,48}$/), {
  maxLength: 8,
});

export const anyHome: fc.Arbitrary<Home> = fc.record({
  identityKey: bytes(32),
  staticKey: bytes(32),
  host: fc.stringMatching(/^[A-Za-z0-9.:-]{1,64}$/),
  port: u16,
});

export const anyHomes: fc.Arbitrary<Home[]> = fc.array(anyHome, { maxLength: 2 });

export const anyEndpoint: fc.Arbitrary<NodeEndpoint> = fc.oneof(
  fc.tuple(fc.oneof(bytes(4), bytes(16)), u16).map(([address, port]): NodeEndpoint => {
    return { kind: 'direct', endpoint: ipEndpoint(address, port) };
  }),
  fc.record({ kind: fc.constant('relayed' as const), relay: bytes(32), route: u32 }),
);

export const anyIdentityRecord: fc.Arbitrary<IdentityRecord> = fc
  .record({
    kind: fc.constant('identity-record' as const),
    sequence: fc.maxSafeNat(),
    address: fc.record({ network: u16, node: u32 }),
    counter: fc.integer({ min: 0, max: 255 }),
    identityKey: bytes(32),
    staticKey: bytes(32),
    name: anyName,
    tags: anyTags.map(ascendingTexts),
    capabilities: anyCapabilities.map(ascendingTexts),
    homes: anyHomes,
    signature: bytes(64),
  })
  .filter((record) => identityRecordFault(record) === undefined);

export const anyEndpointRecord: fc.Arbitrary<EndpointRecord> = fc
  .record({
    kind: fc.constant('endpoint-record' as const),
    sequence: fc.maxSafeNat(),
    identityKey: bytes(32),
    expires: fc.maxSafeNat().map((ms) => ms as WallMs),
    public: fc.boolean(),
    endpoints: fc.array(anyEndpoint, { maxLength: 16 }),
    signature: bytes(64),
  })
  .filter((record) => endpointRecordFault(record) === undefined);
