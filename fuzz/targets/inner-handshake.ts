import {
  decodeInnerHandshake,
  encodeInnerHandshake,
  INNER_HANDSHAKE_BYTES_MAX,
  INNER_HANDSHAKE_BYTES_MIN,
} from '../../wire/packet.ts';
import { decoderTarget, type FuzzTarget } from '../target.ts';

function corpus(): Uint8Array[] {
  const common = { version: 1, network: 0, senderSession: 0x01020304 };
  const prologue = new Uint8Array(0);
  return [INNER_HANDSHAKE_BYTES_MIN, 300, INNER_HANDSHAKE_BYTES_MAX].flatMap((length) => [
    encodeInnerHandshake({
      kind: 'inner-initiation',
      ...common,
      prologue,
      noiseMessage: new Uint8Array(length - 12).fill(0x11),
    }),
    encodeInnerHandshake({
      kind: 'inner-response',
      ...common,
      receiverSession: 0x05060708,
      noiseMessage: new Uint8Array(length - 16).fill(0x22),
    }),
  ]);
}

export const INNER_HANDSHAKE: FuzzTarget = decoderTarget({
  name: 'inner-handshake',
  corpus,
  decode: decodeInnerHandshake,
  encode: encodeInnerHandshake,
});
