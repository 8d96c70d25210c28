import { assert } from '../base/assert.ts';

/** 48 bits: where a node is found. It never says who answers there; only the node's key does. */
export interface Address {
  readonly network: number;
  readonly node: number;
}

/** An address and a port; it serves wherever an address does. */
export interface SocketAddress extends Address {
  readonly port: number;
}

export const NETWORK_MAX = 0xffff;
export const NODE_MAX = 0xffff_ffff;
export const PORT_MAX = 0xffff;

/** Everybody in a network. No key ever derives to it. */
export const BROADCAST_NODE = 0xffff_ffff;
/** Nodes 0 … 255 are kept for the protocol's own use. */
export const RESERVED_NODE_MAX = 255;

export function isReservedNode(node: number): boolean {
  return node <= RESERVED_NODE_MAX;
}

export function isBroadcastNode(node: number): boolean {
  return node === BROADCAST_NODE;
}

/** Whether a key may have this node for its own. */
export function isAssignableNode(node: number): boolean {
  return !isReservedNode(node) && !isBroadcastNode(node);
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.network === b.network && a.node === b.node;
}

/** `N:NNNN.HHHH.LLLL`, in upper case. */
export function formatAddress(address: Address): string {
  const { network, node } = address;
  assert(Number.isInteger(network) && network >= 0 && network <= NETWORK_MAX, 'a network has 16 bits');
  assert(Number.isInteger(node) && node >= 0 && node <= NODE_MAX, 'a node has 32 bits');
  return `${network}:${hex4(network)}.${hex4(node >>> 16)}.${hex4(node & 0xffff)}`;
}

export function formatSocketAddress(address: SocketAddress): string {
  assert(Number.isInteger(address.port) && address.port >= 0 && address.port <= PORT_MAX, 'a port has 16 bits');
  return `${formatAddress(address)}:${address.port}`;
}

export type AddressErrorReason =
  | 'too-long'
  | 'not-an-address'
  | 'leading-zero'
  | 'network-too-large'
  | 'networks-disagree'
  | 'port-missing'
  | 'port-unexpected'
  | 'port-too-large';

export interface AddressError {
  readonly kind: 'address-error';
  readonly reason: AddressErrorReason;
  /** One sentence for the person who typed it; it does not repeat what they typed. */
  readonly message: string;
}

export function isAddressError(value: Address | AddressError): value is AddressError {
  return 'kind' in value;
}

/** Reads `N:NNNN.HHHH.LLLL`, hexadecimal digits in either case. Nothing but the case has a second spelling. */
export function parseAddress(text: string): Address | AddressError {
  const parsed = parse(text);
  if (isFailure(parsed)) return parsed;
  if (parsed.port !== undefined) return refuse('port-unexpected');
  return { network: parsed.network, node: parsed.node };
}

/** Reads `N:NNNN.HHHH.LLLL:port`. */
export function parseSocketAddress(text: string): SocketAddress | AddressError {
  const parsed = parse(text);
  if (isFailure(parsed)) return parsed;
  if (parsed.port === undefined) return refuse('port-missing');
  return { network: parsed.network, node: parsed.node, port: parsed.port };
}

interface Parsed extends Address {
  readonly port: number | undefined;
}

const SHAPE = /^([0-9]+):([0-9A-Fa-f]{4})\.([0-9A-Fa-f]{4})\.([0-9A-Fa-f]{4})(?::([0-9]+))?$/;

const LENGTH_MAX = '65535:FFFF.FFFF.FFFF:65535'.length;

const MESSAGES: Readonly<Record<AddressErrorReason, string>> = {
  'too-long': `An address is at most ${LENGTH_MAX} characters long.`,
  'not-an-address': 'An address looks like 0:0000.7F3A.19C2, with :80 behind it where a port is meant.',
  'leading-zero': 'The network and the port are written without leading zeros.',
  'network-too-large': `A network is a number from 0 to ${NETWORK_MAX}.`,
  'networks-disagree': 'The network stands there twice, in decimal and in hexadecimal, and the two are not the same.',
  'port-missing': 'A port has to follow the address, as in 0:0000.7F3A.19C2:80.',
  'port-unexpected': 'Only the address is wanted here, without a port.',
  'port-too-large': `A port is a number from 0 to ${PORT_MAX}.`,
};

function refuse(reason: AddressErrorReason): AddressError {
  return { kind: 'address-error', reason, message: MESSAGES[reason] };
}

function isFailure(value: Parsed | AddressError): value is AddressError {
  return 'kind' in value;
}

function parse(text: string): Parsed | AddressError {
  if (text.length > LENGTH_MAX) return refuse('too-long');
  const match = SHAPE.exec(text);
  if (match === null) return refuse('not-an-address');
  const [decimalNetwork, hexNetwork, high, low] = [match[1]!, match[2]!, match[3]!, match[4]!];
  const decimalPort = match[5];
  if (hasLeadingZero(decimalNetwork) || (decimalPort !== undefined && hasLeadingZero(decimalPort))) {
    return refuse('leading-zero');
  }
  const network = Number(decimalNetwork);
  if (network > NETWORK_MAX) return refuse('network-too-large');
  if (network !== Number.parseInt(hexNetwork, 16)) return refuse('networks-disagree');
  const port = decimalPort === undefined ? undefined : Number(decimalPort);
  if (port !== undefined && port > PORT_MAX) return refuse('port-too-large');
  return { network, node: Number.parseInt(high + low, 16), port };
}

function hasLeadingZero(digits: string): boolean {
  return digits.length > 1 && digits.startsWith('0');
}

function hex4(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, '0');
}
