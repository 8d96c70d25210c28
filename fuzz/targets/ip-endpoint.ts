import { decodeIpEndpoint, encodeIpEndpoint, formatIpEndpoint, ipEndpoint } from '../../wire/ip-endpoint.ts';
import { decoderTarget, type FuzzTarget } from '../target.ts';

function corpus(): Uint8Array[] {
  const v6 = new Uint8Array(16);
  v6.set([0x20, 0x01, 0x0d, 0xb8]);
  const mapped = encodeIpEndpoint(ipEndpoint(v6, 4440));
  // One bit short of the v4-mapped form, so that mutation gets there.
  mapped.set([0x06, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]);
  return [
    encodeIpEndpoint(ipEndpoint(Uint8Array.of(192, 0, 2, 1), 4440)),
    encodeIpEndpoint(ipEndpoint(v6, 65_535)),
    mapped,
  ];
}

export const IP_ENDPOINT: FuzzTarget = decoderTarget({
  name: 'ip-endpoint',
  corpus,
  decode: decodeIpEndpoint,
  encode({ endpoint }) {
    formatIpEndpoint(endpoint);
    return encodeIpEndpoint(endpoint);
  },
});
