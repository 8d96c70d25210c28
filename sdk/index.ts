/**
 * warren for programs. `connect()` talks to the daemon of this machine, `createNode()` runs a node in this process; both give a
 * `WarrenNode`, and a program cannot tell which of the two it has.
 */
export { type ConnectOptions, connect } from './connect.ts';
export { type CreateNodeOptions, createNode } from './create-node.ts';
export { type DatagramMessage, WarrenDatagrams, type WarrenDatagramsEvents } from './datagrams.ts';
export { WarrenError, WarrenResetError } from './errors.ts';
export { WarrenNode, type WarrenNodeEvents } from './node.ts';
export { WarrenServer, type WarrenServerEvents } from './server.ts';
export { type StreamAddress, WarrenStream } from './stream.ts';
export type {
  ConnectionTaker,
  DialOptions,
  ListenOptions,
  NewPeer,
  NodeStatus,
  PeerName,
  PeerReport,
  PeerStatus,
  PingOptions,
  PingReply,
  StreamOptions,
} from './types.ts';
