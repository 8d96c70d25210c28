import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { WORK_BYTES, type Work } from './app-protocol.ts';
import { CHUNK_BYTES, checkAt, chunkAt } from './pattern.ts';
import { type Quantiles, quantilesOf } from './quantiles.ts';

/**
 * What an application does with its streams: the same code on both sides of every layout, so that what differs between two figures
 * is what lies between the applications.
 */
export class AppStreams {
  readonly #streams: Set<Duplex> = new Set();
  #received = 0;
  #broken = 0;

  get received(): number {
    return this.#received;
  }

  /** Streams that ended with an error, other than by us. */
  get broken(): number {
    return this.#broken;
  }

  /** One that was dialled: says what it is for, and begins. */
  begin(stream: Duplex, work: Work): void {
    this.#keep(stream);
    stream.write(Buffer.from(WORK_BYTES[work]));
    if (work === 'idle' || work === 'close') stream.resume();
    else this.#work(stream, work === 'sink' ? 'source' : 'both');
  }

  /** One that was taken: does what its first byte says. */
  take(stream: Duplex): void {
    this.#keep(stream);
    stream.once('data', (bytes: Buffer) => {
      // The rest of a first piece is the stream's again, before anything else comes.
      const rest = bytes.subarray(1);
      switch (String.fromCharCode(bytes[0]!)) {
        case WORK_BYTES.sink:
          this.#sink(stream, rest);
          return;
        case WORK_BYTES.both:
          this.#sink(stream, rest);
          source(stream);
          return;
        case WORK_BYTES.echo:
          echo(stream, rest);
          return;
        case WORK_BYTES.idle:
          stream.resume();
          return;
        default:
          stream.resume();
          stream.end();
      }
    });
  }

  /** Writes so many bytes and ends; resolves when the stream is over, with what was wrong about it. */
  async transfer(stream: Duplex, bytes: number): Promise<string> {
    this.#keep(stream);
    let error = '';
    stream.on('error', (fault: Error) => {
      error = fault.message;
    });
    const over = once(stream, 'close').catch(() => undefined);
    stream.resume();
    stream.write(Buffer.from(WORK_BYTES.sink));
    for (let offset = 0; offset < bytes && !stream.destroyed; offset += CHUNK_BYTES) {
      const isRoom = stream.write(chunkAt(offset, Math.min(CHUNK_BYTES, bytes - offset)));
      if (!isRoom) await Promise.race([once(stream, 'drain').catch(() => undefined), over]);
    }
    stream.end();
    await over;
    return error;
  }

  /** Destroys all of them, and counts anew. */
  async close(): Promise<void> {
    const streams = [...this.#streams];
    const closed = streams.map((stream) => once(stream, 'close').catch(() => undefined));
    for (const stream of streams) {
      this.#streams.delete(stream);
      stream.destroy();
    }
    await Promise.all(closed);
    this.#received = 0;
    this.#broken = 0;
  }

  #keep(stream: Duplex): void {
    this.#streams.add(stream);
    stream.on('error', () => {
      if (this.#streams.has(stream)) this.#broken += 1;
    });
    stream.once('close', () => this.#streams.delete(stream));
  }

  #work(stream: Duplex, what: 'source' | 'both'): void {
    if (what === 'both') this.#sink(stream, Buffer.alloc(0));
    else stream.resume();
    source(stream);
  }

  #sink(stream: Duplex, first: Buffer): void {
    let offset = 0;
    const take = (bytes: Buffer): void => {
      if (bytes.length === 0) return;
      checkAt(offset, bytes);
      offset += bytes.length;
      this.#received += bytes.length;
    };
    take(first);
    stream.on('data', take);
  }
}

/** As fast as the stream takes it. */
function source(stream: Duplex): void {
  let offset = 0;
  const more = (): void => {
    while (!stream.destroyed) {
      const isRoom = stream.write(chunkAt(offset));
      offset += CHUNK_BYTES;
      if (!isRoom) return;
    }
  };
  stream.on('drain', more);
  more();
}

function echo(stream: Duplex, first: Buffer): void {
  const say = (bytes: Buffer): void => {
    if (!stream.write(bytes)) stream.pause();
  };
  stream.on('drain', () => stream.resume());
  if (first.length > 0) say(first);
  stream.on('data', say);
}

const MESSAGE: Buffer = Buffer.alloc(64, 'echo ');

/** Of a stream to an echo: how long each small message took, one after the other. */
export async function ping(stream: Duplex, milliseconds: number): Promise<Quantiles> {
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  await new Promise<void>((resolve, reject) => {
    let start = 0;
    let left = 0;
    const send = (): void => {
      left = MESSAGE.length;
      start = performance.now();
      stream.write(MESSAGE);
    };
    stream.on('data', (bytes: Buffer) => {
      left -= bytes.length;
      if (left > 0) return;
      const now = performance.now();
      times.push(now - start);
      if (now < end) send();
      else resolve();
    });
    stream.once('close', () => reject(new Error('the stream of the echo was closed')));
    send();
  });
  stream.removeAllListeners('data');
  return quantilesOf(times);
}
