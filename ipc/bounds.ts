import { CONTROL_BYTES_MAX } from '../wire/cbor.ts';

/** What the server end of the local socket allows (ipc/PROTOCOL.md, "Bounds"); tests make it smaller. */
export interface Bounds {
  /** Of every kind, on both sockets; fewer where the process may not have so many files open. */
  readonly connections: number;
  /** Per socket. */
  readonly controlConnections: number;
  /** Connections that have not said yet what they are, per socket: the oldest gives way. */
  readonly unsorted: number;
  /** Connections that come to nothing, per socket: so many at once, and then so many a second, one by one. */
  readonly fruitless: number;
  readonly fruitlessPerSecond: number;
  readonly streamsPerClient: number;
  /** Per socket. */
  readonly streamsWithoutClient: number;
  /** Per socket. */
  readonly streams: number;
  /** Under way, pings among them: per client, and per socket for all without a client. */
  readonly dials: number;
  /** Of both kinds, per client. */
  readonly ports: number;
  /** Streams that wait to be taken, per client. */
  readonly waiting: number;
  /** Requests that wait for their reply, per client. */
  readonly requests: number;
  /** Notices about streams whose line has not been read yet, per client: the oldest gives way. */
  readonly earlyNotices: number;
  /** Bytes of replies that a control client has not read: from here on its requests wait. */
  readonly unreadWaitBytes: number;
  /** Of all that it has not read: from here on datagrams to it are dropped, which come whether it asks or not. */
  readonly unreadBytes: number;
  /** From here on it is closed. */
  readonly unreadBytesMax: number;
  /** For the lines and messages of all clients, a message of each in turn. */
  readonly turnMs: number;
  /** Taken from one stream connection in one turn. */
  readonly bytesPerTurn: number;
  /** For the first byte, and the first line. */
  readonly firstLineMs: number;
  /** For a message, from its first byte to its last. */
  readonly messageMs: number;
  /** For an incoming stream to be taken. */
  readonly acceptMs: number;
  /** For a client to read the last that it is told, before its connection is torn. */
  readonly lingerMs: number;
}

const KIB = 1024;
const MIB: number = 1024 * KIB;

export const BOUNDS: Bounds = {
  connections: 20_000,
  controlConnections: 256,
  unsorted: 1_024,
  fruitless: 1_024,
  fruitlessPerSecond: 250,
  streamsPerClient: 1_024,
  streamsWithoutClient: 1_024,
  streams: 8_192,
  dials: 256,
  ports: 256,
  waiting: 1_024,
  requests: 1_024,
  earlyNotices: 1_024,
  unreadWaitBytes: 64 * KIB,
  unreadBytes: MIB,
  unreadBytesMax: 2 * MIB,
  turnMs: 0.1,
  bytesPerTurn: 512 * KIB,
  firstLineMs: 10_000,
  messageMs: 10_000,
  acceptMs: 10_000,
  lingerMs: 1_000,
};

/** What is not for connections: the process itself, the UDP socket, files of its state, looking names up. */
export const FILES_RESERVED = 64;
/** However few files may be open: some of them for either socket. */
export const CONNECTIONS_MIN = 16;
/** The part of all connections that those to `app.sock` leave to `admin.sock`. */
export const CONNECTIONS_KEPT_SHARE: number = 1 / 8;

export const MESSAGE_BYTES_MAX: number = CONTROL_BYTES_MAX;
/** What Node buffers per connection and direction before it asks to wait: several reads of 64 KiB, which is where a Unix socket is fast. */
export const SOCKET_BUFFER_BYTES: number = 256 * KIB;
