import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../../base/bytes.ts';
import type { DecodeReason } from '../../../wire/decode-error.ts';
import {
  COOKIE_BYTES,
  type CookiePacket,
  createDataPacket,
  DATA_BYTES_MIN,
  DATA_HEADER_BYTES,
  decodePacket,
  encodePacket,
  INITIATION_BYTES,
  INITIATION_PAYLOAD_BYTES,
  PACKET_BYTES_MAX,
  packetLengthAt,
  RESPONSE_BYTES,
  RESPONSE_PAYLOAD_BYTES,
  writeDataHeader,
  writeInitiationHeader,
  writeResponseHeader,
} from '../../../wire/packet.ts';

/** Every byte differs from its neighbours, so that a field read one place off shows. */
function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}

function initiation(): Uint8Array {
  const bytes = patterned(INITIATION_BYTES);
  writeInitiationHeader(bytes, { length: INITIATION_BYTES, network: 0xabcd, senderSession: 0xdeadbeef });
  return bytes;
}

function response(): Uint8Array {
  const bytes = patterned(RESPONSE_BYTES);
  const sessions = { senderSession: 0xcafef00d, receiverSession: 0xdeadbeef };
  writeResponseHeader(bytes, { length: RESPONSE_BYTES, network: 0xabcd, ...sessions });
  return bytes;
}

function cookie(): Uint8Array {
  const bytes = patterned(COOKIE_BYTES);
  bytes.set([0x12, 0, 0, COOKIE_BYTES]);
  return bytes;
}

function data(length: number, packetNumber = 7): Uint8Array {
  const bytes = patterned(length);
  writeDataHeader(bytes, 0, length, 0x01020304, packetNumber);
  return bytes;
}

function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = value;
  return changed;
}

describe('the layout of PROTOCOL §2–4', () => {
  it('comes to the sizes the page names', () => {
    expect([
      INITIATION_BYTES,
      RESPONSE_BYTES,
      COOKIE_BYTES,
      DATA_HEADER_BYTES,
      DATA_BYTES_MIN,
      PACKET_BYTES_MAX,
    ]).toEqual([1200, 1200, 40, 16, 33, 65_507]);
    expect([INITIATION_PAYLOAD_BYTES, RESPONSE_PAYLOAD_BYTES]).toEqual([1060, 1120]);
  });

  it('puts the fields of an initiation where the page says', () => {
    const bytes = initiation();
    expect(decodePacket(bytes)).toEqual({
      kind: 'initiation',
      version: 1,
      network: 0xabcd,
      senderSession: 0xdeadbeef,
      prologue: bytes.slice(0, 12),
      noiseMessage: bytes.slice(12, 1168),
      mac1: bytes.slice(1168, 1184),
      mac2: bytes.slice(1184, 1200),
      beforeMac1: bytes.slice(0, 1168),
      beforeMac2: bytes.slice(0, 1184),
    });
    expect(toHex(bytes.subarray(0, 12))).toBe('100004b00001abcddeadbeef');
  });

  it('puts the fields of a response where the page says', () => {
    const bytes = response();
    expect(decodePacket(bytes)).toEqual({
      kind: 'response',
      version: 1,
      network: 0xabcd,
      senderSession: 0xcafef00d,
      receiverSession: 0xdeadbeef,
      noiseMessage: bytes.slice(16, 1184),
      mac1: bytes.slice(1184, 1200),
      beforeMac1: bytes.slice(0, 1184),
    });
    expect(toHex(bytes.subarray(0, 16))).toBe('110004b00001abcdcafef00ddeadbeef');
  });

  it('puts the fields of a cookie and of a data packet where the page says', () => {
    const cookieBytes = cookie();
    expect(decodePacket(cookieBytes)).toEqual({
      kind: 'cookie',
      receiverSession: 0x1c232a31,
      cookie: cookieBytes.slice(8, 24),
      mac: cookieBytes.slice(24, 40),
      beforeMac: cookieBytes.slice(0, 24),
    });
    const dataBytes = data(50, 2 ** 40 + 3);
    expect(decodePacket(dataBytes)).toEqual({
      kind: 'data',
      receiverSession: 0x01020304,
      packetNumber: 2 ** 40 + 3,
      bytes: dataBytes,
      start: 0,
      end: 50,
    });
  });
});

describe('a packet', () => {
  it.each([
    ['initiation', initiation()],
    ['response', response()],
    ['cookie', cookie()],
    ['the shortest data', data(DATA_BYTES_MIN)],
    ['the longest data', data(PACKET_BYTES_MAX)],
    ['the last packet number', data(40, 2 ** 53 - 1)],
  ])('%s is written again byte for byte', (_name, bytes) => {
    const packet = decodePacket(bytes);
    expect(packet.kind).not.toBe('decode-error');
    if (packet.kind !== 'decode-error') expect(encodePacket(packet)).toEqual(bytes);
  });

  it('is a view of the bytes it came in, not a copy', () => {
    const bytes = cookie();
    expect((decodePacket(bytes) as CookiePacket).mac.buffer).toBe(bytes.buffer);
  });

  it('at the end of a larger buffer decodes like one on its own', () => {
    const bytes = concat(new Uint8Array(5), data(60)).subarray(5);
    expect(decodePacket(bytes)).toMatchObject({ kind: 'data', receiverSession: 0x01020304, packetNumber: 7 });
  });

  const numbered = data(40);
  numbered.set([0x00, 0x20, 0, 0, 0, 0, 0, 0], 8);
  const long = new Uint8Array(PACKET_BYTES_MAX + 1);
  long.set([0x13, 0, 0xff, 0xe4]);
  it.each<[string, Uint8Array, DecodeReason]>([
    ['of nothing', new Uint8Array(0), 'truncated'],
    ['of three bytes', Uint8Array.of(0x13, 0, 0), 'truncated'],
    ['of a type below ours', withByte(data(40), 0, 0x0f), 'unknown-type'],
    ['of the type kept for a relay', withByte(data(40), 0, 0x14), 'unknown-type'],
    ['with a flag set', withByte(data(40), 1, 1), 'reserved-bits'],
    ['shorter than it says', data(40).subarray(0, 39), 'length-mismatch'],
    ['longer than it says', concat(data(40), Uint8Array.of(0)), 'length-mismatch'],
    ['of 65,508 bytes', long, 'too-long'],
    ['with data but no sealed byte', withByte(data(33), 3, 32).subarray(0, 32), 'truncated'],
    ['with a packet number of 2^53', numbered, 'out-of-range'],
    ['of another version of the initiation', withByte(initiation(), 5, 2), 'unknown-version'],
    ['of another version of the response', withByte(response(), 4, 1), 'unknown-version'],
    ['an initiation of 1,199 bytes', withByte(initiation(), 3, 0xaf).subarray(0, 1199), 'length-mismatch'],
    ['a response of 1,199 bytes', withByte(response(), 3, 0xaf).subarray(0, 1199), 'length-mismatch'],
    ['a cookie of 39 bytes', withByte(cookie(), 3, 39).subarray(0, 39), 'length-mismatch'],
  ])('%s is refused', (_what, bytes, reason) => {
    expect(decodePacket(bytes)).toEqual({ kind: 'decode-error', reason });
  });
});

describe('a read of several packets', () => {
  function lengths(read: Uint8Array): number[] {
    const found: number[] = [];
    for (let at = 0; at < read.length; ) {
      const length = packetLengthAt(read, at);
      if (length === 0) break;
      found.push(length);
      at += length;
    }
    return found;
  }

  it('splits by the length fields', () => {
    expect(lengths(concat(data(100), data(100), cookie(), initiation(), data(33)))).toEqual([100, 100, 40, 1200, 33]);
  });

  it.each([
    ['an unknown type', withByte(data(60), 0, 0x14)],
    ['a STUN message', Uint8Array.of(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['a length below the least of its type', withByte(data(60), 3, 32)],
    ['a length of zero', withByte(data(60), 3, 0)],
    ['a packet that reaches past the end', data(60).subarray(0, 59)],
    ['half a header', Uint8Array.of(0x13, 0, 0)],
  ])('ends at %s', (_what, last) => {
    expect(lengths(concat(data(100), last, data(100)).subarray(0, 100 + last.length))).toEqual([100]);
  });

  it('keeps within the end it is given', () => {
    const read = concat(data(100), data(100));
    expect(packetLengthAt(read, 100, 200)).toBe(100);
    expect(packetLengthAt(read, 100, 199)).toBe(0);
    expect(packetLengthAt(read, 200)).toBe(0);
  });
});

describe('a header writer', () => {
  it('does not write a header that would break the layout', () => {
    expect(() => writeDataHeader(new Uint8Array(64), 0, 32, 1, 1)).toThrow('a data header fits');
    expect(() => writeDataHeader(new Uint8Array(64), 49, 40, 1, 1)).toThrow('a data header fits');
    expect(() => writeDataHeader(new Uint8Array(64), 0, 40, 1, 2 ** 53)).toThrow('below 2^53');
    expect(() => writeDataHeader(new Uint8Array(64), 0, 65_508, 1, 1)).toThrow('within its bounds');
    expect(() => writeInitiationHeader(new Uint8Array(64), { length: 1200, network: 0, senderSession: 0 })).toThrow(
      'fits',
    );
  });

  it('writes at an offset and nowhere else', () => {
    const out = new Uint8Array(40).fill(0xee);
    writeDataHeader(out, 8, 40, 0xffffffff, 2 ** 53 - 1);
    expect(toHex(out)).toBe(`${'ee'.repeat(8)}13000028ffffffff001fffffffffffff${'ee'.repeat(16)}`);
  });
});

describe('a data packet in a read', () => {
  it('is found where it stands, by the object that the last one was written into', () => {
    const read = concat(data(40, 7), data(50, 8), data(33, 9));
    const packet = createDataPacket();
    for (const [start, end, packetNumber] of [
      [0, 40, 7],
      [40, 90, 8],
      [90, 123, 9],
    ] as const) {
      expect(decodePacket(read, start, end, packet)).toBe(packet);
      expect(packet).toEqual({ kind: 'data', receiverSession: 0x01020304, packetNumber, bytes: read, start, end });
      expect(encodePacket(packet)).toEqual(read.slice(start, end));
    }
  });

  it.each([
    ['its length names more', 0, 41, 'length-mismatch'],
    ['its length names less', 0, 39, 'length-mismatch'],
    ['its type is unknown', 1, 41, 'unknown-type'],
    ['it is cut before its header ends', 0, 3, 'truncated'],
  ] as const)('is none where %s, and then nothing is written', (_name, start, end, reason) => {
    const read = concat(data(40), cookie());
    const packet = createDataPacket();
    expect(decodePacket(read, start, end, packet)).toEqual({ kind: 'decode-error', reason });
    expect(packet).toEqual(createDataPacket());
  });
});
