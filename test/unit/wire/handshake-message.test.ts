import { describe, expect, it } from 'vitest';
import type { DecodeReason } from '../../../wire/decode-error.ts';
import {
  decodeInnerHandshake,
  encodeInnerHandshake,
  INNER_HANDSHAKE_BYTES_MAX,
  INNER_HANDSHAKE_BYTES_MIN,
  type InnerInitiation,
  type InnerResponse,
} from '../../../wire/packet.ts';

const common = { version: 1, network: 5, senderSession: 0x01020304 };

function inner(kind: 'inner-initiation' | 'inner-response', length: number): Uint8Array {
  const header = kind === 'inner-initiation' ? 12 : 16;
  const noiseMessage = Uint8Array.from({ length: length - header }, (_, i) => (i * 5 + 1) & 0xff);
  const message: InnerInitiation | InnerResponse =
    kind === 'inner-initiation'
      ? { kind, ...common, prologue: new Uint8Array(0), noiseMessage }
      : { kind, ...common, receiverSession: 0x0a0b0c0d, noiseMessage };
  return encodeInnerHandshake(message);
}

function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = value;
  return changed;
}

describe('a handshake message inside a session', () => {
  it('has the initiation’s layout without MACs, its own length in the prologue', () => {
    const bytes = inner('inner-initiation', 300);
    expect(decodeInnerHandshake(bytes)).toEqual({
      kind: 'inner-initiation',
      ...common,
      prologue: bytes.slice(0, 12),
      noiseMessage: bytes.slice(12),
    });
    expect([...bytes.slice(0, 12)]).toEqual([0x10, 0, 0x01, 0x2c, 0, 1, 0, 5, 1, 2, 3, 4]);
  });

  it('has the response’s layout without the MAC', () => {
    const bytes = inner('inner-response', 300);
    expect(decodeInnerHandshake(bytes)).toEqual({
      kind: 'inner-response',
      ...common,
      receiverSession: 0x0a0b0c0d,
      noiseMessage: bytes.slice(16),
    });
  });

  it.each([INNER_HANDSHAKE_BYTES_MIN, INNER_HANDSHAKE_BYTES_MAX])('of %d bytes is written again', (length) => {
    for (const kind of ['inner-initiation', 'inner-response'] as const) {
      const bytes = inner(kind, length);
      const message = decodeInnerHandshake(bytes);
      expect(message.kind).toBe(kind);
      if (message.kind !== 'decode-error') expect(encodeInnerHandshake(message)).toEqual(bytes);
    }
  });

  it.each<[string, Uint8Array, DecodeReason]>([
    ['of nothing', new Uint8Array(0), 'truncated'],
    ['of 129 bytes', inner('inner-initiation', 129), 'truncated'],
    ['of 751 bytes', inner('inner-initiation', 751), 'too-long'],
    ['of the cookie’s type', withByte(inner('inner-initiation', 200), 0, 0x12), 'unknown-type'],
    ['with a flag set', withByte(inner('inner-response', 200), 1, 0x80), 'reserved-bits'],
    ['that names another length', withByte(inner('inner-response', 200), 3, 199), 'length-mismatch'],
    ['of another version', withByte(inner('inner-response', 200), 5, 0), 'unknown-version'],
  ])('%s is refused', (_what, bytes, reason) => {
    expect(decodeInnerHandshake(bytes)).toEqual({ kind: 'decode-error', reason });
  });
});
