import { isIPv4 } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { assert } from '../base/assert.ts';
import { EMPTY } from '../base/bytes.ts';
import { type CFunction, type Ffi, findAll, type Signatures } from '../crypto/ffi.ts';
import { AF_INET, AF_INET6, encodeSocketAddress, SOCKET_ADDRESS_BYTES } from './socket-address.ts';

/**
 * A UDP socket of Linux, set up through C as `dgram` cannot: the kernel cuts what is sent into segments (UDP_SEGMENT) and joins
 * what comes in (UDP_GRO), and what a link does not carry is refused or lost, never cut into fragments, so that a path MTU search
 * finds the truth. Its descriptor is handed to `dgram`, which waits for what comes, reads the first of it, sends what the kernel had no
 * room for at once, and closes it.
 *
 * `undefined` where this system has no such thing; the same socket without all that is made by `dgram` then.
 */
export function openOffloadSocket(ffi: Ffi, options: OffloadSocketOptions): OffloadSocket | undefined {
  if (process.platform !== 'linux') return undefined;
  const libc = findAll(ffi, SIGNATURES);
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
  /**
   * Once `dgram` has it. libuv lets others bind the port of a descriptor that it is handed (SO_REUSEADDR), and the last one would
   * get all that comes: nobody may.
   */
  claim(): void;
  /** What is sent from here on is cut into pieces of that many bytes; 0 leaves it whole. False where the kernel refuses. */
  setSegment(bytes: number): boolean;
  /**
   * Sends to a `struct sockaddr` at once, without an object for it: how many bytes, or the negated `errno`. It waits for nothing: what
   * the kernel has no room for (`isFull`) is for `dgram`, which sends it when there is.
   */
  send(bytes: Uint8Array, offset: number, length: number, to: Uint8Array): number;
  /**
   * Reads what waits into `received`, without an object for it: how many bytes, or -1 where nothing waits or something is wrong. `sender` holds where it came from until the next call.
   */
  receive(): number;
  readonly received: Uint8Array;
  /** A `struct sockaddr`. */
  readonly sender: Uint8Array;
  /** Where `dgram` has not taken the descriptor: nobody else closes it. */
  close(): void;
}

/** Whether what `send` gave means that the kernel will take it later. */
export function isFull(sent: number): boolean {
  return sent === -EAGAIN || sent === -ENOBUFS || sent === -EINTR;
}

/** Why the port cannot be had, as the system names it: `dgram` would say the same. */
export class NativeBindError extends Error {
  readonly code: string;

  constructor(errno: number) {
    const code = errno > 0 ? getSystemErrorName(-errno) : 'EADDRNOTAVAIL';
    super(code);
    this.code = code;
  }
}

const { EAGAIN, EINTR, ENOBUFS } = constants.errno;
// The numbers of Linux, the same on all architectures that Node runs on.
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
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
const MSG_DONTWAIT = 0x40;
/** As much as the kernel joins. */
const READ_BYTES_MAX = 65_535;

const SIGNATURES = {
  socket: ['int', ['int', 'int', 'int']],
  setsockopt: ['int', ['int', 'int', 'int', 'address', 'int']],
  bind: ['int', ['int', 'address', 'int']],
  close: ['int', ['int']],
  sendto: ['int', ['int', 'address', 'address', 'int', 'address', 'int']],
  recvfrom: ['int', ['int', 'address', 'address', 'int', 'address', 'address']],
} as const satisfies Signatures;

type Functions = Record<keyof typeof SIGNATURES, CFunction>;

class LinuxSocket implements OffloadSocket {
  readonly descriptor: number;
  readonly sendsSegments: boolean;
  readonly joinsReceived: boolean;
  readonly forbidsFragments: boolean;
  readonly #libc: Functions;
  readonly #ffi: Ffi;
  /** What an option is set to, where C reads it. */
  readonly #value: Int32Array = new Int32Array(1);
  readonly #valueAddress: number;
  #segment = 0;
  readonly received: Uint8Array = new Uint8Array(READ_BYTES_MAX);
  readonly sender: Uint8Array = new Uint8Array(SOCKET_ADDRESS_BYTES);
  readonly #receivedAddress: number;
  readonly #senderAddress: number;
  /** How long `sender` is: C reads and writes it. */
  readonly #senderLength: Int32Array = new Int32Array(1);
  readonly #senderLengthAddress: number;
  /** Where it was sent last, and from which memory: mostly the same again. */
  #to: Uint8Array = EMPTY;
  #toAddress = 0;
  #from: Uint8Array = EMPTY;
  #fromAddress = 0;

  private constructor(libc: Functions, ffi: Ffi, descriptor: number, isIpv6: boolean, bufferBytes: number) {
    this.#libc = libc;
    this.#ffi = ffi;
    this.descriptor = descriptor;
    this.#valueAddress = ffi.addressOf(new Uint8Array(this.#value.buffer));
    this.#receivedAddress = ffi.addressOf(this.received);
    this.#senderAddress = ffi.addressOf(this.sender);
    this.#senderLengthAddress = ffi.addressOf(new Uint8Array(this.#senderLength.buffer));
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
    const address = encodeSocketAddress(isIpv6 ? AF_INET6 : AF_INET, host, port);
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

  claim(): void {
    this.#set(SOL_SOCKET, SO_REUSEADDR, 0);
  }

  send(bytes: Uint8Array, offset: number, length: number, to: Uint8Array): number {
    assert(offset >= 0 && length >= 0 && offset + length <= bytes.length, 'what is sent is there');
    if (to !== this.#to) {
      this.#toAddress = this.#ffi.addressOf(to);
      this.#to = to;
    }
    if (bytes !== this.#from) {
      this.#fromAddress = this.#ffi.addressOf(bytes);
      this.#from = bytes;
    }
    const from = this.#fromAddress + offset;
    const sent = this.#libc.sendto(this.descriptor, from, length, MSG_DONTWAIT, this.#toAddress, to.length);
    return sent < 0 ? -this.#ffi.errno() : sent;
  }

  close(): void {
    this.#libc.close(this.descriptor);
  }

  receive(): number {
    this.#senderLength[0] = SOCKET_ADDRESS_BYTES;
    return this.#libc.recvfrom(
      this.descriptor,
      this.#receivedAddress,
      READ_BYTES_MAX,
      MSG_DONTWAIT,
      this.#senderAddress,
      this.#senderLengthAddress,
    );
  }

  #set(level: number, option: number, value: number): boolean {
    this.#value[0] = value;
    return this.#libc.setsockopt(this.descriptor, level, option, this.#valueAddress, 4) === 0;
  }
}
