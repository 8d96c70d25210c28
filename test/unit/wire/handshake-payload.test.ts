import { describe, expect, it } from 'vitest';
import { toHex } from '../../../base/bytes.ts';
import type { DecodeReason } from '../../../wire/decode-error.ts';
import {
  decodeInitiationPayload,
  decodeResponsePayload,
  encodeInitiationPayload,
  encodeResponsePayload,
} from '../../../wire/handshake-payload.ts';
import { INITIATION_PAYLOAD_BYTES, RESPONSE_PAYLOAD_BYTES } from '../../../wire/packet.ts';

const incarnation = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);
const record = Uint8Array.of(1, 2, 3);
const fields = { incarnation, generation: 0x01020304, record };

function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = value;
  return changed;
}

describe('a handshake payload', () => {
  it('is incarnation, generation and record, then nothing inside a session', () => {
    const bytes = encodeInitiationPayload(fields);
    expect(toHex(bytes)).toBe('a0a1a2a3a4a5a6a7a8a9aaabacadaeaf010203040003010203');
    expect(decodeInitiationPayload(bytes)).toEqual({ kind: 'initiation-payload', ...fields });
  });

  it('of a response starts with its sender session once more', () => {
    const bytes = encodeResponsePayload({ senderSession: 0xc0ffee01, ...fields });
    expect(toHex(bytes.subarray(0, 4))).toBe('c0ffee01');
    expect(decodeResponsePayload(bytes)).toEqual({ kind: 'response-payload', senderSession: 0xc0ffee01, ...fields });
  });

  it('is padded to the length of the message and written again to the same length', () => {
    const longest = { ...fields, record: new Uint8Array(600).fill(9) };
    const initiation = encodeInitiationPayload(longest, INITIATION_PAYLOAD_BYTES);
    const response = encodeResponsePayload({ senderSession: 1, ...longest }, RESPONSE_PAYLOAD_BYTES);
    expect([initiation.length, response.length]).toEqual([1060, 1120]);
    const first = decodeInitiationPayload(initiation);
    const second = decodeResponsePayload(response);
    expect(first.kind === 'initiation-payload' && encodeInitiationPayload(first, initiation.length)).toEqual(
      initiation,
    );
    expect(second.kind === 'response-payload' && encodeResponsePayload(second, response.length)).toEqual(response);
  });

  it('outlives the message it came in', () => {
    const bytes = encodeInitiationPayload(fields);
    const payload = decodeInitiationPayload(bytes);
    bytes.fill(0);
    expect(payload).toEqual({ kind: 'initiation-payload', ...fields });
  });

  const padded = encodeInitiationPayload(fields, 64);
  it.each<[string, Uint8Array, DecodeReason]>([
    ['of nothing', new Uint8Array(0), 'truncated'],
    ['that breaks off in the record', encodeInitiationPayload(fields).subarray(0, 24), 'truncated'],
    ['of generation 0', withByte(withByte(withByte(withByte(padded, 16, 0), 17, 0), 18, 0), 19, 0), 'out-of-range'],
    ['with a record of 601 bytes', withByte(withByte(new Uint8Array(1060).fill(1), 20, 2), 21, 0x59), 'too-long'],
    ['with a bit in its padding', withByte(padded, 63, 1), 'reserved-bits'],
  ])('%s is refused', (_what, bytes, reason) => {
    expect(decodeInitiationPayload(bytes)).toEqual({ kind: 'decode-error', reason });
  });

  it('of a response is refused for the same reasons', () => {
    const bytes = encodeResponsePayload({ senderSession: 1, ...fields }, 64);
    expect(decodeResponsePayload(bytes.subarray(0, 20))).toEqual({ kind: 'decode-error', reason: 'truncated' });
    expect(decodeResponsePayload(withByte(bytes, 40, 4))).toEqual({ kind: 'decode-error', reason: 'reserved-bits' });
  });

  it('that our own code has wrong is never written', () => {
    expect(() => encodeInitiationPayload({ ...fields, generation: 0 })).toThrow('generations count from 1');
    expect(() => encodeInitiationPayload({ ...fields, record: new Uint8Array(601) })).toThrow('600');
    expect(() => encodeInitiationPayload({ ...fields, incarnation: record })).toThrow('16 bytes');
    expect(() => encodeInitiationPayload(fields, 24)).toThrow('bytes fit');
  });
});
