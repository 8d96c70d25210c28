import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../base/bytes.ts';
import {
  decodeIpEndpoint,
  encodeIpEndpoint,
  formatIpEndpoint,
  type IpEndpoint,
  ipEndpoint,
  ipEndpointLength,
  sameIpEndpoint,
} from '../../../wire/ip-endpoint.ts';

const v4 = ipEndpoint(Uint8Array.of(192, 0, 2, 1), 4440);
const v6 = ipEndpoint(fromHex('20010db8000000000000000000000001'), 4440);

describe('an endpoint', () => {
  it.each([
    [v4, '04c00002011158'],
    [v6, '0620010db80000000000000000000000011158'],
  ])('is written and read back', (endpoint, hex) => {
    expect(toHex(encodeIpEndpoint(endpoint))).toBe(hex);
    expect(ipEndpointLength(endpoint)).toBe(hex.length / 2);
    expect(decodeIpEndpoint(fromHex(hex))).toEqual({ kind: 'ip-endpoint', endpoint });
  });

  it('given in the v4-mapped form becomes family 4, so each address is written one way', () => {
    const mapped = ipEndpoint(fromHex('00000000000000000000ffffc0000201'), 4440);
    expect(mapped).toEqual(v4);
    expect(sameIpEndpoint(mapped, v4)).toBe(true);
    expect(sameIpEndpoint(v4, v6)).toBe(false);
    expect(sameIpEndpoint(v4, { ...v4, port: 1 })).toBe(false);
  });

  it.each([
    ['of nothing', '', 'truncated'],
    ['of another family', '05c00002011158', 'unknown-type'],
    ['that breaks off in its address', '06200100', 'truncated'],
    ['that breaks off in its port', '04c000020111', 'truncated'],
    ['with a byte after it', '04c0000201115800', 'trailing-bytes'],
    ['in the v4-mapped form', '0600000000000000000000ffffc00002011158', 'not-shortest-form'],
  ])('%s is refused', (_what, hex, reason) => {
    expect(decodeIpEndpoint(fromHex(hex))).toEqual({ kind: 'decode-error', reason });
  });

  it('of our own that breaks the rules is never written', () => {
    const mapped: IpEndpoint = { family: 6, address: fromHex('00000000000000000000ffffc0000201'), port: 1 };
    expect(() => encodeIpEndpoint(mapped)).toThrow('written as IPv4');
    expect(() => encodeIpEndpoint({ ...v6, family: 4 })).toThrow('fits its family');
  });

  // RFC 5952 §4: lower case, no leading zeros, "::" for the longest run, for the first of two, never for one group.
  it.each([
    ['20010db8000000000000000000000001', '[2001:db8::1]:80'],
    ['00000000000000000000000000000000', '[::]:80'],
    ['00000000000000000000000000000001', '[::1]:80'],
    ['fe800000000000000000000000000000', '[fe80::]:80'],
    ['20010db8000000010001000100010001', '[2001:db8:0:1:1:1:1:1]:80'],
    ['20010000000000010000000000000001', '[2001:0:0:1::1]:80'],
    ['20010db8000000000001000000000001', '[2001:db8::1:0:0:1]:80'],
    ['20010db8aaaabbbbccccddddeeee0abc', '[2001:db8:aaaa:bbbb:cccc:dddd:eeee:abc]:80'],
  ])('%s reads %s', (hex, text) => {
    expect(formatIpEndpoint(ipEndpoint(fromHex(hex), 80))).toBe(text);
  });

  it('of family 4 reads as people write it', () => {
    expect(formatIpEndpoint(v4)).toBe('192.0.2.1:4440');
  });
});
