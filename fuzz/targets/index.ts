import type { FuzzTarget } from '../target.ts';
import { ADDRESS, SOCKET_ADDRESS } from './address.ts';
import { CBOR } from './cbor.ts';
import { ENDPOINT_RECORD } from './endpoint-record.ts';
import { FRAMES } from './frames.ts';
import { INITIATION_PAYLOAD, RESPONSE_PAYLOAD } from './handshake-payload.ts';
import { IDENTITY_RECORD } from './identity-record.ts';
import { INNER_HANDSHAKE } from './inner-handshake.ts';
import { IP_ENDPOINT } from './ip-endpoint.ts';
import { IPC_ANSWER, IPC_FRAMES, IPC_LINE, IPC_REQUEST, IPC_SERVER_MESSAGE } from './ipc.ts';
import { PACKET } from './packet.ts';

export const TARGETS: readonly FuzzTarget[] = [
  PACKET,
  INNER_HANDSHAKE,
  INITIATION_PAYLOAD,
  RESPONSE_PAYLOAD,
  FRAMES,
  CBOR,
  IP_ENDPOINT,
  IDENTITY_RECORD,
  ENDPOINT_RECORD,
  ADDRESS,
  SOCKET_ADDRESS,
  IPC_FRAMES,
  IPC_LINE,
  IPC_ANSWER,
  IPC_REQUEST,
  IPC_SERVER_MESSAGE,
];
