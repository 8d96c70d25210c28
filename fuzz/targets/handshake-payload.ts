import {
  decodeInitiationPayload,
  decodeResponsePayload,
  encodeInitiationPayload,
  encodeResponsePayload,
} from '../../wire/handshake-payload.ts';
import { INITIATION_PAYLOAD_BYTES, RESPONSE_PAYLOAD_BYTES } from '../../wire/packet.ts';
import { decoderTarget, type FuzzTarget } from '../target.ts';

const payloads = [0, 149, 600].map((length, i) => ({
  senderSession: 0x01020304,
  incarnation: new Uint8Array(16).fill(0xab),
  generation: i + 1,
  record: new Uint8Array(length).fill(0xcd),
}));

export const INITIATION_PAYLOAD: FuzzTarget = decoderTarget({
  name: 'initiation-payload',
  corpus: () =>
    payloads.flatMap((payload) => [
      encodeInitiationPayload(payload),
      encodeInitiationPayload(payload, INITIATION_PAYLOAD_BYTES),
    ]),
  decode: decodeInitiationPayload,
  encode: encodeInitiationPayload,
});

export const RESPONSE_PAYLOAD: FuzzTarget = decoderTarget({
  name: 'response-payload',
  corpus: () =>
    payloads.flatMap((payload) => [
      encodeResponsePayload(payload),
      encodeResponsePayload(payload, RESPONSE_PAYLOAD_BYTES),
    ]),
  decode: decodeResponsePayload,
  encode: encodeResponsePayload,
});
