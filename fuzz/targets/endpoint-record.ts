import type { WallMs } from '../../base/time.ts';
import {
  decodeEndpointRecord,
  type EndpointRecord,
  encodeEndpointRecord,
  type NodeEndpoint,
} from '../../wire/records.ts';
import { decoderTarget, type FuzzTarget } from '../target.ts';

function record(fields: Partial<EndpointRecord>): Uint8Array {
  return encodeEndpointRecord({
    kind: 'endpoint-record',
    sequence: 1_800_000_000_000,
    identityKey: new Uint8Array(32).fill(1),
    expires: 1_800_000_600_000 as WallMs,
    public: false,
    endpoints: [],
    signature: new Uint8Array(64).fill(3),
    ...fields,
  });
}

function corpus(): Uint8Array[] {
  const v6 = Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  // One bit short of the v4-mapped form, so that mutation gets there.
  const nearlyMapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 192, 0, 2, 1);
  const direct4: NodeEndpoint = {
    kind: 'direct',
    endpoint: { family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 4440 },
  };
  const direct6 = (address: Uint8Array): NodeEndpoint => {
    return { kind: 'direct', endpoint: { family: 6, address, port: 4440 } };
  };
  const relayed: NodeEndpoint = { kind: 'relayed', relay: new Uint8Array(32).fill(2), route: 0xffff_ffff };
  return [
    record({}),
    record({ public: true, endpoints: [direct4, direct6(v6), relayed] }),
    record({ endpoints: [direct6(nearlyMapped)] }),
    record({ endpoints: Array<NodeEndpoint>(16).fill(direct4) }),
    // As long as a record may be: another byte is one too many.
    record({ endpoints: [...Array<NodeEndpoint>(12).fill(relayed), direct6(v6), direct4, direct4, direct4] }),
  ];
}

export const ENDPOINT_RECORD: FuzzTarget = decoderTarget({
  name: 'endpoint-record',
  corpus,
  decode: decodeEndpointRecord,
  encode: encodeEndpointRecord,
});
