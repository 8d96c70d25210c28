import {
  COOKIE_BYTES,
  DATA_BYTES_MIN,
  decodePacket,
  encodePacket,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  writeCookieHeader,
  writeDataHeader,
  writeInitiationHeader,
  writeResponseHeader,
} from '../../wire/packet.ts';
import { decoderTarget, type FuzzTarget } from '../target.ts';

function corpus(): Uint8Array[] {
  const initiation = new Uint8Array(INITIATION_BYTES).fill(0x11, 12);
  writeInitiationHeader(initiation, { length: INITIATION_BYTES, network: 0, senderSession: 0x01020304 });
  const response = new Uint8Array(RESPONSE_BYTES).fill(0x22, 16);
  const sessions = { senderSession: 0x05060708, receiverSession: 0x01020304 };
  writeResponseHeader(response, { length: RESPONSE_BYTES, network: 65_535, ...sessions });
  const cookie = new Uint8Array(COOKIE_BYTES).fill(0x33);
  writeCookieHeader(cookie, 0x01020304, new Uint8Array(16).fill(0x44));
  const data = [DATA_BYTES_MIN, 64, 200, 1200].map((length, i) => {
    const packet = new Uint8Array(length).fill(0x55);
    writeDataHeader(packet, 0, length, 0x01020304, i === 0 ? 2 ** 53 - 1 : i);
    return packet;
  });
  return [initiation, response, cookie, ...data];
}

export const PACKET: FuzzTarget = decoderTarget({ name: 'packet', corpus, decode: decodePacket, encode: encodePacket });
