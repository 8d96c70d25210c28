import { isIPv4 } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { CFunction, CType, Ffi } from '../crypto/ffi.ts';
import { parseIpAddress } from './udp-route.ts';

/**
 * A UDP socket of Linux, set up through C as `dgram` cannot: the kernel cuts what is sent into segments (UDP_SEGMENT) and joins
 * what comes in (UDP_GRO), and what a link does not carry is refused or lost, never cut into fragments, so that a path MTU search
 * finds the truth. Its descriptor is handed to `dgram`, which reads, writes and closes it from then on.
 *
 * `undefined` where this system has no such thing; the same socket without all that is made by `dgram` then.
 */
export function openOffloadSocket(ffi: Ffi, options: OffloadSocketOptions): OffloadSocket | undefined {
  if (process.platform !== 'linux') return undefined;
  const libc = findFunctions(ffi);
  return libc && LinuxSocket.open(libc, ffi, options);
}

export interface OffloadSocketOptions {
  /** An address of this machine; `::` is every address of both families. */
  readonly host: string;
  readonly port: number;
  readonly bufferBytes: number;
}

export interface OffloadSocket {
  readonly descriptor: number;
  /** Whether the kernel cuts what is sent, and whether it joins what comes. */
  readonly sendsSegments: boolean;
  readonly joinsReceived: boolean;
  /** Whether nothing is ever cut into fragments. */
  readonly forbidsFragments: boolean;
  /** What is sent from here on is cut into pieces of that many bytes; 0 leaves it whole. False where the kernel refuses. */
  setSegment(bytes: number): boolean;
}

/** Why the port cannot be had, as the system names it: `dgram` would say the same. */
export class NativeBindError extends Error {
  readonly code: string;

  constructor(errno: number) {
    const code = getSystemErrorName(-errno);
    super(code);
    this.code = code;
  }
}

// The numbers of Linux, the same on all architectures that Node runs on.
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
/** Beyond the system's limit, where we may. */
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IPPROTO_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
const IPV6_V6ONLY = 26;
/** The kernel forbids fragments and believes no ICMP about it. */
const PMTUDISC_PROBE = 3;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;

const SIGNATURES = {
  socket: ['int', ['int', 'int', 'int']],
  setsockopt: ['int', ['int', 'int', 'int', 'address', 'int']],
  bind: ['int', ['int', 'address', 'int']],
  close: ['int', ['int']],
} as const satisfies Record<string, readonly [CType, readonly CType[]]>;

type Functions = Record<keyof typeof SIGNATURES, CFunction>;

function findFunctions(ffi: Ffi): Functions | undefined {
  const found: Partial<Functions> = {};
  for (const [name, [result, args]] of Object.entries(SIGNATURES)) {
    const one = ffi.find(name, result, args);
    if (one === undefined) return undefined;
    found[name as keyof Functions] = one;
  }
  return found as Functions;
}

class LinuxSocket implements OffloadSocket {
  readonly descriptor: number;
  readonly sendsSegments: boolean;
  readonly joinsReceived: boolean;
  readonly forbidsFragments: boolean;
  readonly #libc: Functions;
  /** What an option is set to, where C reads it. */
  readonly #value: Int32Array = new Int32Array(1);
  readonly #valueAddress: number;
  #segment = 0;

  private constructor(libc: Functions, ffi: Ffi, descriptor: number, isIpv6: boolean, bufferBytes: number) {
    this.#libc = libc;
    this.descriptor = descriptor;
    this.#valueAddress = ffi.addressOf(new Uint8Array(this.#value.buffer));
    if (isIpv6) this.#set(IPPROTO_IPV6, IPV6_V6ONLY, 0);
    for (const [force, ask] of [
      [SO_RCVBUFFORCE, SO_RCVBUF],
      [SO_SNDBUFFORCE, SO_SNDBUF],
    ] as const) {
      if (!this.#set(SOL_SOCKET, force, bufferBytes)) this.#set(SOL_SOCKET, ask, bufferBytes);
    }
    // An IPv6 socket sends to mapped IPv4 addresses by the rules of IPv4.
    const isForbidden = this.#set(IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE);
    this.forbidsFragments = (!isIpv6 || this.#set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)) && isForbidden;
    this.sendsSegments = this.#set(SOL_UDP, UDP_SEGMENT, 0);
    this.joinsReceived = this.#set(SOL_UDP, UDP_GRO, 1);
  }

  static open(libc: Functions, ffi: Ffi, { host, port, bufferBytes }: OffloadSocketOptions): LinuxSocket | undefined {
    const isIpv6 = !isIPv4(host);
    const descriptor = libc.socket(isIpv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    // A kernel without IPv6, or a process without descriptors left: `dgram` finds the words for it.
    if (descriptor < 0) return undefined;
    const socket = new LinuxSocket(libc, ffi, descriptor, isIpv6, bufferBytes);
    const address = isIpv6 ? socketAddress6(host, port) : socketAddress4(host, port);
    if (address !== undefined && libc.bind(descriptor, ffi.addressOf(address), address.length) === 0) return socket;
    const errno = address === undefined ? constants.errno.EADDRNOTAVAIL : ffi.errno();
    libc.close(descriptor);
    throw new NativeBindError(errno);
  }

  setSegment(bytes: number): boolean {
    if (bytes === this.#segment) return true;
    if (!this.#set(SOL_UDP, UDP_SEGMENT, bytes)) return false;
    this.#segment = bytes;
    return true;
  }

  #set(level: number, option: number, value: number): boolean {
    this.#value[0] = value;
    return this.#libc.setsockopt(this.descriptor, level, option, this.#valueAddress, 4) === 0;
  }
}

/** struct sockaddr_in: the family in the machine's order, all else in the network's. */
function socketAddress4(host: string, port: number): Uint8Array | undefined {
  const address = parseIpAddress(host);
  if (address?.length !== 4) return undefined;
  const bytes = new Uint8Array(16);
  new Uint16Array(bytes.buffer)[0] = AF_INET;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(address, 4);
  return bytes;
}

/** struct sockaddr_in6. An address with a zone is left to `dgram`, which knows interfaces by name. */
function socketAddress6(host: string, port: number): Uint8Array | undefined {
  const address = parseIpAddress(host);
  if (address?.length !== 16) return undefined;
  const bytes = new Uint8Array(28);
  new Uint16Array(bytes.buffer)[0] = AF_INET6;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(address, 8);
  return bytes;
}
