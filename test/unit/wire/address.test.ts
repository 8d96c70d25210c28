import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AddressErrorReason } from '../../../wire/address.ts';
import {
  formatAddress,
  formatSocketAddress,
  isAddressError,
  isAssignableNode,
  isBroadcastNode,
  isReservedNode,
  parseAddress,
  parseSocketAddress,
} from '../../../wire/address.ts';

const anyNetwork = fc.integer({ min: 0, max: 0xffff });
const anyNode = fc.integer({ min: 0, max: 0xffff_ffff });
const anyPort = fc.integer({ min: 0, max: 0xffff });

describe('an address in text', () => {
  it('gives its network and node', () => {
    expect(parseAddress('0:0000.7F3A.19C2')).toEqual({ network: 0, node: 0x7f3a_19c2 });
    expect(parseAddress('65535:FFFF.FFFF.FFFF')).toEqual({ network: 65535, node: 0xffff_ffff });
  });

  it('is written in upper case and read in either', () => {
    const text = '2748:0abc.dEf0.19c2';
    const address = parseAddress(text);
    if (isAddressError(address)) throw new Error(address.message);
    expect(formatAddress(address)).toBe(text.toUpperCase());
  });

  it('comes back from the text it is written as', () => {
    fc.assert(
      fc.property(anyNetwork, anyNode, (network, node) => {
        const text = formatAddress({ network, node });
        expect(parseAddress(text)).toEqual({ network, node });
        expect(parseAddress(text.toLowerCase())).toEqual({ network, node });
      }),
      { seed: 1 },
    );
  });

  it('comes back with its port', () => {
    fc.assert(
      fc.property(anyNetwork, anyNode, anyPort, (network, node, port) => {
        expect(parseSocketAddress(formatSocketAddress({ network, node, port }))).toEqual({ network, node, port });
      }),
      { seed: 2 },
    );
  });

  it('has no second spelling: what is read is written back, but for the case', () => {
    const nearly = fc.stringMatching(/^0?[0-9]{1,5}:0[0-9a-fA-F]{3}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}(:0?[0-9]{1,5})?$/);
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string({ maxLength: 30 })), (text) => {
        const address = parseAddress(text);
        if (!isAddressError(address)) expect(formatAddress(address)).toBe(text.toUpperCase());
        const socket = parseSocketAddress(text);
        if (!isAddressError(socket)) expect(formatSocketAddress(socket)).toBe(text.toUpperCase());
      }),
      { seed: 3, numRuns: 1000 },
    );
  });

  it.each<[AddressErrorReason, string]>([
    ['not-an-address', ''],
    ['not-an-address', 'alice'],
    ['not-an-address', '0:0000.7F3A'],
    ['not-an-address', '0:0000.7F3A.19C'],
    ['not-an-address', '0:0000.7F3A.19C2.'],
    ['not-an-address', '0:0000:7F3A:19C2'],
    ['not-an-address', '0:0000.7F3A.19G2'],
    ['not-an-address', ' 0:0000.7F3A.19C2'],
    ['not-an-address', '0:0000.7F3A.19C2\n'],
    ['not-an-address', '0:0000.7F3A.19C2:'],
    ['not-an-address', '0:0000.7F3A.19C2:-1'],
    ['not-an-address', '-1:FFFF.7F3A.19C2'],
    ['not-an-address', '٠:0000.7F3A.19C2'],
    ['leading-zero', '00:0000.7F3A.19C2'],
    ['leading-zero', '01:0001.7F3A.19C2'],
    ['network-too-large', '65536:0000.7F3A.19C2'],
    ['network-too-large', '99999999:0000.7F3A.19C2'],
    ['networks-disagree', '1:0000.7F3A.19C2'],
    ['networks-disagree', '10:0010.7F3A.19C2'],
    ['port-unexpected', '0:0000.7F3A.19C2:80'],
    ['too-long', '0:0000.7F3A.19C2:80000000000'],
    ['too-long', '0'.repeat(100_000)],
  ])('is refused as %s: %j', (reason, text) => {
    expect(parseAddress(text)).toMatchObject({ kind: 'address-error', reason });
  });

  it.each<[AddressErrorReason, string]>([
    ['port-missing', '0:0000.7F3A.19C2'],
    ['port-too-large', '0:0000.7F3A.19C2:65536'],
    ['leading-zero', '0:0000.7F3A.19C2:080'],
    ['leading-zero', '0:0000.7F3A.19C2:00'],
    ['not-an-address', 'alice:80'],
  ])('with a port is refused as %s: %j', (reason, text) => {
    expect(parseSocketAddress(text)).toMatchObject({ kind: 'address-error', reason });
  });

  it('is refused with a sentence that does not repeat what was typed', () => {
    const error = parseAddress('1:0000.DEAD.BEEF');
    expect(error).toMatchObject({ message: expect.stringMatching(/^[A-Z].*\.$/) });
    expect(JSON.stringify(error)).not.toContain('DEAD');
  });
});

describe('the address examples of PROTOCOL.md', () => {
  const protocol = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8');
  const examples = [...protocol.matchAll(/^```address\n([\s\S]*?)^```$/gm)].flatMap((block) =>
    block[1]!.split('\n').filter((line) => line !== ''),
  );

  it('are there', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  it.each(examples)('%s is read and written back', (text) => {
    const socket = parseSocketAddress(text);
    if (!isAddressError(socket)) {
      expect(formatSocketAddress(socket)).toBe(text);
      return;
    }
    const address = parseAddress(text);
    if (isAddressError(address)) throw new Error(address.message);
    expect(formatAddress(address)).toBe(text);
  });
});

describe('a node', () => {
  it('is reserved up to 255', () => {
    expect([0, 1, 255, 256, 0xffff_ffff].map(isReservedNode)).toEqual([true, true, true, false, false]);
  });

  it('is everybody when all its bits are set', () => {
    expect([0, 0xffff_fffe, 0xffff_ffff].map(isBroadcastNode)).toEqual([false, false, true]);
  });

  it('belongs to a key anywhere between', () => {
    expect([0, 255, 256, 0xffff_fffe, 0xffff_ffff].map(isAssignableNode)).toEqual([false, false, true, true, false]);
  });
});
