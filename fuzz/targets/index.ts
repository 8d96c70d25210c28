import type { FuzzTarget } from '../target.ts';
import { CBOR } from './cbor.ts';
import { FRAMES } from './frames.ts';
import { INITIATION_PAYLOAD, RESPONSE_PAYLOAD } from './handshake-payload.ts';
import { INNER_HANDSHAKE } from './inner-handshake.ts';
import { IP_ENDPOINT } from './ip-endpoint.ts';
import { PACKET } from './packet.ts';

export const TARGETS: readonly FuzzTarget[] = [
  PACKET,
  INNER_HANDSHAKE,
  INITIATION_PAYLOAD,
  RESPONSE_PAYLOAD,
  FRAMES,
  CBOR,
  IP_ENDPOINT,
];
