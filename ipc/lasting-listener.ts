import type { Ffi, Signatures } from '../crypto/ffi.ts';
import { findAll } from '../crypto/ffi.ts';

/**
 * A listening Unix socket of Linux that lasts while nobody takes from it: those who come wait in the kernel. What Node listens on it
 * takes from for as long as it is open, and its end turns away all who wait; so the socket is made through C, and Node is handed
 * one duplicate of its descriptor after another.
 */
export interface LastingListener {
  /** A descriptor of it, the caller's to close; negative where the process may have no more. */
  duplicate(): number;
  close(): void;
}

/** `undefined` where there is no such thing, or the path cannot be had: Node's own way finds the words for that. */
export function openLastingListener(ffi: Ffi, path: string, backlog: number): LastingListener | undefined {
  const libc = process.platform === 'linux' ? findAll(ffi, SIGNATURES) : undefined;
  if (libc === undefined) return undefined;
  const address = socketAddress(path);
  const descriptor = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return undefined;
  const isListening =
    libc.bind(descriptor, ffi.addressOf(address), address.length) === 0 && libc.listen(descriptor, backlog) === 0;
  if (isListening) {
    return {
      duplicate: () => libc.fcntl(descriptor, F_DUPFD_CLOEXEC, 0),
      close: () => libc.close(descriptor),
    };
  }
  libc.close(descriptor);
  return undefined;
}

// The numbers of Linux, the same on all architectures that Node runs on.
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1_030;

const SIGNATURES = {
  socket: ['int', ['int', 'int', 'int']],
  bind: ['int', ['int', 'address', 'int']],
  listen: ['int', ['int', 'int']],
  fcntl: ['int', ['int', 'int', 'int']],
  close: ['int', ['int']],
} as const satisfies Signatures;

/** A `struct sockaddr_un`: the family in the machine's order, the path, and a zero. */
function socketAddress(path: string): Uint8Array {
  const text = Buffer.from(path);
  const bytes = new Uint8Array(2 + text.length + 1);
  new Uint16Array(bytes.buffer, 0, 1)[0] = AF_UNIX;
  bytes.set(text, 2);
  return bytes;
}
