import { decodeIdentityRecord, encodeIdentityRecord, type IdentityRecord } from '../../wire/records.ts';
import { decoderTarget, type FuzzTarget } from '../target.ts';

const key = (value: number): Uint8Array => new Uint8Array(32).fill(value);

function record(fields: Partial<IdentityRecord>): Uint8Array {
  return encodeIdentityRecord({
    kind: 'identity-record',
    sequence: 1_800_000_000_000,
    address: { network: 0, node: 0x7f3a_19c2 },
    counter: 0,
    identityKey: key(1),
    staticKey: key(2),
    name: '',
    tags: [],
    capabilities: [],
    homes: [],
    signature: new Uint8Array(64).fill(3),
    ...fields,
  });
}

function corpus(): Uint8Array[] {
  const home = { identityKey: key(4), staticKey: key(5), host: 'Home.example', port: 4440 };
  return [
    record({}),
    record({ name: 'alice', tags: ['a', 'ab', 'b'], capabilities: ['http/1.1', 'warren:echo'], homes: [home, home] }),
    // As long as a record may be: another byte is one too many.
    record({ name: 'n'.repeat(59), capabilities: [...'abcdefgh'].map((first) => first.padEnd(48, '-')) }),
    record({ sequence: Number.MAX_SAFE_INTEGER, tags: [...'-0129abz'] }),
  ];
}

export const IDENTITY_RECORD: FuzzTarget = decoderTarget({
  name: 'identity-record',
  corpus,
  decode: decodeIdentityRecord,
  encode: encodeIdentityRecord,
});
