import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../base/bytes.ts';
import { decodeFrames } from '../../../wire/frame-reader.ts';
import { encodeFrame, frameLength } from '../../../wire/frames.ts';
import {
  decodeInitiationPayload,
  decodeResponsePayload,
  encodeInitiationPayload,
  encodeResponsePayload,
} from '../../../wire/handshake-payload.ts';
import { ipEndpoint } from '../../../wire/ip-endpoint.ts';
import { decodeInnerHandshake, decodePacket, encodeInnerHandshake, encodePacket } from '../../../wire/packet.ts';
import { ByteWriter } from '../../../wire/writer.ts';

const page = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8');

interface Example {
  readonly what: string;
  readonly name: string;
  readonly hex: string;
}

/** The pairs of digits of a block: `;` starts a comment, `(00 × 16)` is a byte that repeats. */
function digits(block: string): string {
  return block
    .split('\n')
    .map((line) => line.replace(/;.*$/, ''))
    .join(' ')
    .replace(/\(([0-9a-f]{2}) × (\d+)\)/g, (_all, byte: string, times: string) => byte.repeat(Number(times)))
    .replace(/\s+/g, '');
}

const examples: readonly Example[] = Array.from(
  page.matchAll(/```hex (\w+) (\w+)\n([\s\S]*?)```/g),
  ([, what, name, block]) => ({ what: what!, name: name!, hex: digits(block!) }),
);

function only(what: string): readonly Example[] {
  return examples.filter((example) => example.what === what);
}

function kindOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** How many of this name stand before this one: expectations are listed in the order of the page. */
function occurrence(example: Example): number {
  return examples.filter((other) => other.what === example.what && other.name === example.name).indexOf(example);
}

const frameFields: Readonly<Record<string, readonly object[]>> = {
  PING: [{}],
  PADDING: [{ length: 3 }],
  ACK: [
    {
      delayUs: 100,
      ranges: [
        { smallest: 10, largest: 12 },
        { smallest: 7, largest: 8 },
      ],
    },
  ],
  STREAM_OPEN: [{ stream: 4, sourcePort: 49_153, destinationPort: 80, priority: 1 }],
  STREAM_RESET: [{ stream: 4, code: 9, finalSize: 200 }],
  STREAM_STOP: [{ stream: 4, code: 9 }],
  STREAM_DATA: [
    { stream: 4, offset: 65_536, fin: true, data: new TextEncoder().encode('hello') },
    { stream: 4, offset: 0, fin: false, data: new TextEncoder().encode('hi') },
  ],
  MAX_DATA: [{ limit: 1_048_576 }],
  MAX_STREAM_DATA: [{ stream: 4, limit: 262_144 }],
  MAX_STREAMS: [{ limit: 128 }],
  DATAGRAM: [{ sourcePort: 49_153, destinationPort: 7, data: new TextEncoder().encode('foo') }],
  PATH_CHALLENGE: [{ token: fromHex('0102030405060708') }],
  PATH_RESPONSE: [{ token: fromHex('0102030405060708') }],
  CLOSE: [{ code: 9, reason: 'bye' }],
  HANDSHAKE: [{}],
  CANDIDATES: [
    {
      sequence: 7,
      endpoints: [
        ipEndpoint(Uint8Array.of(192, 0, 2, 1), 4440),
        ipEndpoint(fromHex('20010db8000000000000000000000001'), 4440),
      ],
    },
  ],
  OBSERVED_ADDRESS: [{ sequence: 7, endpoint: ipEndpoint(Uint8Array.of(203, 0, 113, 5), 54_321) }],
  OPTIONAL: [{ type: 0xc1, data: fromHex('aabb') }],
};

const packetFields: Readonly<Record<string, readonly object[]>> = {
  initiation: [
    {
      version: 1,
      network: 0,
      senderSession: 0xc0ffee01,
      prologue: fromHex('100004b000010000c0ffee01'),
      mac1: new Uint8Array(16).fill(0xd1),
      mac2: new Uint8Array(16),
    },
  ],
  response: [
    {
      version: 1,
      network: 0,
      senderSession: 0xc0ffee02,
      receiverSession: 0xc0ffee01,
      mac1: new Uint8Array(16).fill(0xd2),
    },
  ],
  cookie: [{ receiverSession: 0x01020304, mac: fromHex('b0b1b2b3b4b5b6b7b8b9babbbcbdbebf') }],
  data: [{ receiverSession: 0xc0ffee01, packetNumber: 256, start: 0, end: 34 }],
};

describe('an example on the protocol page', () => {
  it('is written in hex digits, and is a frame, a packet or a payload', () => {
    for (const { what, name, hex } of examples) {
      expect(hex, `${what} ${name}`).toMatch(/^(?:[0-9a-f]{2})+$/);
      expect(['frame', 'packet', 'payload']).toContain(what);
    }
    // Every block that starts with the word has been found.
    expect(examples).toHaveLength(page.split('```hex').length - 1);
  });

  it.each(only('frame').map((example) => [example.name, example] as const))('frame %s', (name, example) => {
    const frames = decodeFrames(fromHex(example.hex));
    expect(frames).toHaveLength(1);
    if (!Array.isArray(frames)) return;
    const [frame] = frames;
    expect(frame).toMatchObject({ ...frameFields[name]![occurrence(example)]!, kind: kindOf(name) });
    const writer = new ByteWriter(new Uint8Array(frameLength(frame!)));
    encodeFrame(writer, frame!);
    expect(toHex(writer.buffer)).toBe(example.hex);
    if (frame!.kind !== 'handshake') return;
    const message = decodeInnerHandshake(frame!.message);
    expect(message).toMatchObject({ kind: 'inner-initiation', network: 0, senderSession: 0xc0ffee03 });
    expect(message.kind !== 'decode-error' && encodeInnerHandshake(message)).toEqual(frame!.message);
  });

  it.each(only('packet').map((example) => [example.name, example] as const))('packet %s', (name, example) => {
    const packet = decodePacket(fromHex(example.hex));
    expect(packet).toMatchObject({ ...packetFields[name]![occurrence(example)]!, kind: kindOf(name) });
    if (packet.kind !== 'decode-error') expect(toHex(encodePacket(packet))).toBe(example.hex);
  });

  it('of a payload is as long as its message wants and is written again', () => {
    const [initiation, response] = only('payload').map(({ name, hex }) => ({ name, bytes: fromHex(hex) }));
    expect([initiation!.name, response!.name]).toEqual(['initiation', 'response']);
    expect([initiation!.bytes.length, response!.bytes.length]).toEqual([1060, 1120]);
    const first = decodeInitiationPayload(initiation!.bytes);
    const second = decodeResponsePayload(response!.bytes);
    expect(first).toMatchObject({ generation: 1, incarnation: new Uint8Array(16).fill(0x1c) });
    expect(second).toMatchObject({ generation: 1, senderSession: 0xc0ffee02, record: new Uint8Array(149).fill(0x0b) });
    expect(first.kind !== 'decode-error' && encodeInitiationPayload(first, 1060)).toEqual(initiation!.bytes);
    expect(second.kind !== 'decode-error' && encodeResponsePayload(second, 1120)).toEqual(response!.bytes);
  });

  it('exists for every frame of the table in §5', () => {
    const section = page.slice(page.indexOf('## 5. Frames'), page.indexOf('## 6.'));
    const names = Array.from(section.matchAll(/^\| `[0-9a-f]{2}`[^|]*\| (\w+) +\|/gm), ([, name]) =>
      name!.toUpperCase(),
    );
    expect(names).toHaveLength(18);
    expect([...new Set(only('frame').map(({ name }) => name))].sort()).toEqual([...names].sort());
    expect(Object.keys(frameFields).sort()).toEqual([...names].sort());
  });

  it('exists for every packet of the table in §1', () => {
    const section = page.slice(page.indexOf('## 1. Datagrams'), page.indexOf('## 2.'));
    const names = Array.from(section.matchAll(/`0x1[0-3]` (\w+)/g), ([, name]) => name!);
    expect(names).toEqual(['initiation', 'response', 'cookie', 'data']);
    expect([...new Set(only('packet').map(({ name }) => name))].sort()).toEqual([...names].sort());
  });
});
