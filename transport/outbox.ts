import { BoundedQueue } from '../base/bounded.ts';
import type { DatagramFrame, Frame } from '../wire/frames.ts';
import { encodeFrame, frameLength } from '../wire/frames.ts';
import type { ByteWriter } from '../wire/writer.ts';
import { CONTROL_FRAMES_QUEUED_MAX, DATAGRAMS_QUEUED_MAX, DIRECTED_QUEUED_MAX } from './constants.ts';
import type { Path } from './path.ts';
import type { Session } from './session.ts';

/** A frame that must go by one path or in one session: a packet of its own. */
export interface DirectedFrame {
  readonly path: Path;
  /** `undefined`: the one that traffic goes in. */
  readonly session: Session | undefined;
  readonly frame: Frame;
  /** Whether the packet is filled up to what the path carries. */
  readonly pad: boolean;
}

/**
 * What waits to be sent by one tunnel, but for what waits in its streams: directed frames, then control frames, then datagrams.
 * Each queue is bounded, and the oldest gives way: directed and control frames are asked for again by whoever needs them, and
 * datagrams may be lost.
 */
export class Outbox {
  readonly #directed: BoundedQueue<DirectedFrame> = new BoundedQueue(DIRECTED_QUEUED_MAX);
  readonly #control: BoundedQueue<Frame> = new BoundedQueue(CONTROL_FRAMES_QUEUED_MAX);
  readonly #datagrams: BoundedQueue<DatagramFrame> = new BoundedQueue(DATAGRAMS_QUEUED_MAX);
  #datagramsDropped = 0;

  get length(): number {
    return this.#control.length + this.#datagrams.length + this.#directed.length;
  }

  get hasControl(): boolean {
    return this.#control.length > 0;
  }

  get hasDatagrams(): boolean {
    return this.#datagrams.length > 0;
  }

  /** Whether there is anything for the packets of a batch; directed frames are not. */
  get hasFrames(): boolean {
    return this.#control.length > 0 || this.#datagrams.length > 0;
  }

  /** Datagrams that gave way to newer ones before they were sent. */
  get datagramsDropped(): number {
    return this.#datagramsDropped;
  }

  direct(frame: DirectedFrame): void {
    this.#directed.push(frame);
  }

  pushControl(frame: Frame): void {
    this.#control.push(frame);
  }

  pushDatagram(frame: DatagramFrame): void {
    if (this.#datagrams.push(frame) !== undefined) this.#datagramsDropped += 1;
  }

  takeDirected(): DirectedFrame | undefined {
    return this.#directed.shift();
  }

  /** As many as fit, in order. */
  writeControl(writer: ByteWriter): void {
    writeFrom(this.#control, writer);
  }

  /** False where the first did not fit. */
  writeDatagrams(writer: ByteWriter): boolean {
    const { length } = this.#datagrams;
    writeFrom(this.#datagrams, writer);
    return this.#datagrams.length < length;
  }

  clear(): void {
    this.#directed.clear();
    this.#control.clear();
    this.#datagrams.clear();
  }
}

function writeFrom(queue: BoundedQueue<Frame>, writer: ByteWriter): void {
  for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
    if (frameLength(next) > writer.remaining) return;
    encodeFrame(writer, next);
    queue.shift();
  }
}
