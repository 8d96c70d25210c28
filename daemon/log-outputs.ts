import * as nodeFs from 'node:fs';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { quietly } from './file-errors.ts';
import type { LogOutput } from './log.ts';

/**
 * The places a log may go to. None of them makes the daemon wait: not for a terminal that somebody stopped with Ctrl-S, nor for a
 * pipe whose reader is stuck. What cannot be written now is not taken.
 */

/** Standard error as it is: a terminal, a pipe or a socket, or a file. */
export function standardError(): LogOutput {
  const { stderr } = process;
  if (stderr.isTTY) {
    const terminal = openTerminal(stderr.fd);
    if (terminal !== undefined) return terminal;
  }
  return new StreamOutput(stderr, stderr.isTTY === true);
}

/**
 * A stream of Node's. For pipes and sockets these do not block, whatever the manual says of pipes (libuv makes them so); they
 * keep what the reader has not taken, without a bound of their own.
 */
export class StreamOutput implements LogOutput {
  readonly isTerminal: boolean;
  readonly #stream: Writable;
  #isBroken = false;

  constructor(stream: Writable, isTerminal: boolean) {
    this.#stream = stream;
    this.isTerminal = isTerminal;
    // A reader that left is no reason to end; unheard, the error would be one.
    stream.on('error', () => {
      this.#isBroken = true;
    });
  }

  write(line: string): boolean {
    if (this.#isBroken || this.#stream.writableLength > STREAM_BYTES_MAX) return false;
    this.#stream.write(line);
    return true;
  }

  async flush(msMax: number): Promise<void> {
    const until = performance.now() + msMax;
    while (!this.#isBroken && this.#stream.writableLength > 0 && performance.now() < until) await sleep(FLUSH_STEP_MS);
  }
}

/** A descriptor of its own that does not block, written to at once or not at all. */
export class DescriptorOutput implements LogOutput {
  readonly isTerminal: boolean;
  readonly #fd: number;
  /** The end of a line whose beginning was written: it has to come before the next. */
  #rest: Uint8Array = NOTHING;

  constructor(fd: number, isTerminal: boolean) {
    this.#fd = fd;
    this.isTerminal = isTerminal;
  }

  write(line: string): boolean {
    this.#push();
    if (this.#rest.length > 0) return false;
    const bytes = Buffer.from(line);
    this.#rest = bytes;
    this.#push();
    // Not even begun: the line is given back, not kept.
    if (this.#rest.length < bytes.length) return true;
    this.#rest = NOTHING;
    return false;
  }

  async flush(msMax: number): Promise<void> {
    const until = performance.now() + msMax;
    while (this.#rest.length > 0 && performance.now() < until) {
      await sleep(FLUSH_STEP_MS);
      this.#push();
    }
  }

  #push(): void {
    try {
      while (this.#rest.length > 0) this.#rest = this.#rest.subarray(nodeFs.writeSync(this.#fd, this.#rest));
    } catch {
      // EAGAIN for now, or EIO for good, once a terminal has gone: either way it is not written.
    }
  }
}

/** A file that is moved aside, in the place of the one before, when it has grown to `bytesMax`: never more than twice that. */
export class FileOutput implements LogOutput {
  readonly isTerminal = false;
  readonly #path: string;
  readonly #bytesMax: number;
  #fd: number | undefined;
  #bytes = 0;
  /** A full disk took only a part of the last line. */
  #isTorn = false;

  constructor(path: string, bytesMax: number = LOG_FILE_BYTES_MAX) {
    this.#path = path;
    this.#bytesMax = bytesMax;
  }

  /** Throws where the file cannot be had; a log that fails later fails in silence. */
  open(): void {
    const fd = nodeFs.openSync(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    this.#fd = fd;
    this.#bytes = nodeFs.fstatSync(fd).size;
  }

  write(line: string): boolean {
    const bytes = Buffer.from(this.#isTorn ? `\n${line}` : line);
    try {
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#bytesMax) this.#rotate();
      if (this.#fd === undefined) this.open();
      const written = nodeFs.writeSync(this.#fd!, bytes);
      this.#bytes += written;
      this.#isTorn = written < bytes.length;
      return !this.#isTorn;
    } catch {
      return false;
    }
  }

  async flush(): Promise<void> {
    // The system has it already.
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) quietly(() => nodeFs.closeSync(fd));
  }

  #rotate(): void {
    nodeFs.renameSync(this.#path, `${this.#path}.1`);
    this.close();
    this.open();
  }
}

export const LOG_FILE_BYTES_MAX: number = 8 * 2 ** 20;

const { O_APPEND, O_CREAT, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = nodeFs.constants;

const NOTHING: Uint8Array = new Uint8Array(0);
const STREAM_BYTES_MAX: number = 256 * 2 ** 10;
const FLUSH_STEP_MS = 10;

/**
 * Node sets a terminal to block. Opened anew it has flags of its own, so that this disturbs nobody who shares it; some systems
 * give the same open file again (`/dev/fd` of BSD and macOS), and there it stays as it was.
 */
function openTerminal(fd: number): LogOutput | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return new DescriptorOutput(nodeFs.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY), true);
  } catch {
    return undefined;
  }
}
