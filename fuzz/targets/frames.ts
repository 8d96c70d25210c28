import { decodeFrames } from '../../wire/frame-reader.ts';
import { encodeFrame, type Frame, frameLength } from '../../wire/frames.ts';
import { ipEndpoint } from '../../wire/ip-endpoint.ts';
import { ByteWriter } from '../../wire/writer.ts';
import { ACCEPTED, type FuzzTarget, mustRewrite } from '../target.ts';
import { EDGE_TEXT } from '../texts.ts';

const v4 = ipEndpoint(Uint8Array.of(192, 0, 2, 1), 4440);
const v6 = ipEndpoint(Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 4440);
const text = new Uint8Array(60).fill(0x61);

const frames: readonly Frame[] = [
  { kind: 'ping' },
  { kind: 'padding', length: 20 },
  { kind: 'ack', delayUs: 25, ranges: [{ smallest: 3, largest: 70 }] },
  {
    kind: 'ack',
    delayUs: 100_000,
    ranges: Array.from({ length: 40 }, (_, i) => ({ smallest: 90_000 - 70 * i, largest: 90_005 - 70 * i })),
  },
  {
    kind: 'ack',
    delayUs: 1,
    ranges: Array.from({ length: 256 }, (_, i) => ({ smallest: 512 - 2 * i, largest: 512 - 2 * i })),
  },
  { kind: 'stream-open', stream: 4, sourcePort: 49_152, destinationPort: 80, priority: 1 },
  { kind: 'stream-reset', stream: 4, code: 9, finalSize: 200_000 },
  { kind: 'stream-stop', stream: 4, code: 9 },
  { kind: 'stream-data', stream: 4, offset: 70_000, fin: false, data: text },
  { kind: 'stream-data', stream: 8, offset: 2 ** 53 - 100, fin: true, data: text },
  { kind: 'max-data', limit: 2 ** 40 },
  { kind: 'max-stream-data', stream: 4, limit: 2 ** 20 },
  { kind: 'max-streams', limit: 128 },
  { kind: 'datagram', sourcePort: 49_152, destinationPort: 7, data: text },
  { kind: 'path-challenge', token: text.subarray(0, 8) },
  { kind: 'path-response', token: text.subarray(0, 8) },
  { kind: 'close', code: 9, reason: 'Ende – 終わり 🙂' },
  { kind: 'close', code: 9, reason: EDGE_TEXT },
  { kind: 'close', code: 9, reason: 'x'.repeat(256) },
  { kind: 'handshake', message: new Uint8Array(130).fill(0x10) },
  { kind: 'handshake', message: new Uint8Array(750).fill(0x11) },
  { kind: 'candidates', sequence: 7, endpoints: [v4, v6] },
  { kind: 'candidates', sequence: 7, endpoints: Array.from({ length: 16 }, () => v4) },
  { kind: 'observed-address', sequence: 7, endpoint: v6 },
  { kind: 'optional', type: 0xc1, data: text },
];

function encode(...list: readonly Frame[]): Uint8Array {
  let length = 0;
  for (const frame of list) length += frameLength(frame);
  const writer = new ByteWriter(new Uint8Array(length));
  for (const frame of list) encodeFrame(writer, frame);
  return writer.buffer.subarray(0, writer.offset);
}

export const FRAMES: FuzzTarget = {
  name: 'frames',
  corpus: () => [...frames.map((frame) => encode(frame)), encode(...frames)],
  check(input) {
    const decoded = decodeFrames(input);
    if (!Array.isArray(decoded)) return decoded.reason;
    mustRewrite(input, encode(...decoded));
    return ACCEPTED;
  },
};
