import { expect } from 'vitest';
import { concat, EMPTY, equal } from '../../../../base/bytes.ts';
import { type Instant, instant } from '../../../../base/time.ts';
import { PacketContents } from '../../../../transport/packet-contents.ts';
import { DEFAULT_STREAM_CONFIG, type StreamConfig } from '../../../../transport/streams/constants.ts';
import type { StreamEvent } from '../../../../transport/streams/events.ts';
import { NodeBudget } from '../../../../transport/streams/flow-control.ts';
import { type FrameOutcome, type StreamFrame, Streams } from '../../../../transport/streams/streams.ts';
import { decodeFrames } from '../../../../wire/frame-reader.ts';
import type { Frame, Priority } from '../../../../wire/frames.ts';
import { ByteWriter } from '../../../../wire/writer.ts';

export const KIB = 1_024;
export const MIB: number = 1_024 * KIB;
export const RTT = 10_000;
export const PACKET_BYTES = 1_150;

/** A packet that went out: what it carried, for the peer and for recovery. */
export interface SentPacket {
  readonly frames: readonly Frame[];
  readonly contents: PacketContents;
  readonly length: number;
}

/** One end of a tunnel, with scripts of frames instead of a peer. */
export class End {
  readonly streams: Streams;
  readonly budget: NodeBudget;
  now: Instant = instant(0);

  constructor(options: { opensEven?: boolean; config?: Partial<StreamConfig>; budget?: NodeBudget } = {}) {
    this.budget = options.budget ?? new NodeBudget();
    this.streams = new Streams(
      {
        opensEven: options.opensEven ?? true,
        config: { ...DEFAULT_STREAM_CONFIG, ...options.config },
        budget: this.budget,
      },
      this.now,
    );
  }

  open(priority: Priority = 1): number {
    const id = this.streams.open({ source: 50_000, destination: 80 }, priority, this.now);
    if (id === 'stream-limit') throw new Error('the limit of streams is reached');
    return id;
  }

  /** Outcome of each frame. */
  hear(...frames: StreamFrame[]): FrameOutcome[] {
    return frames.map((frame) => this.streams.handleFrame(frame, RTT, this.now));
  }

  /** One packet, `undefined` where there is nothing to say. */
  send(bytes: number = PACKET_BYTES): SentPacket | undefined {
    const buffer = new Uint8Array(bytes);
    const writer = new ByteWriter(buffer);
    const contents = new PacketContents();
    this.streams.beginPacket(writer, contents);
    this.streams.fillPacket(writer, contents);
    if (writer.offset === 0) return undefined;
    const frames = decodeFrames(buffer.subarray(0, writer.offset));
    if ('kind' in frames) throw new Error(`the packet does not decode: ${frames.reason}`);
    return { frames, contents, length: writer.offset };
  }

  sendAll(bytes: number = PACKET_BYTES): SentPacket[] {
    const packets: SentPacket[] = [];
    for (let packet = this.send(bytes); packet !== undefined; packet = this.send(bytes)) packets.push(packet);
    return packets;
  }

  /** Everything that is due, as frames. */
  say(bytes: number = PACKET_BYTES): Frame[] {
    return this.sendAll(bytes).flatMap((packet) => packet.frames);
  }

  acknowledge(...packets: SentPacket[]): void {
    for (const { contents } of packets) for (let i = 0; i < contents.count; i++) this.streams.onAcked(contents, i);
  }

  lose(...packets: SentPacket[]): void {
    for (const { contents } of packets) for (let i = 0; i < contents.count; i++) this.streams.onLost(contents, i);
  }

  events(): StreamEvent[] {
    const events: StreamEvent[] = [];
    for (let event = this.streams.pollEvent(); event !== undefined; event = this.streams.pollEvent())
      events.push(event);
    return events;
  }

  /** The kinds of all events that wait. */
  kinds(): string[] {
    return this.events().map((event) => event.kind);
  }

  read(id: number): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let bytes = this.streams.read(id); bytes !== undefined; bytes = this.streams.read(id)) parts.push(bytes);
    return concat(...parts);
  }

  state(id: number): ReturnType<Streams['inspect']>['streams'][number] | undefined {
    return this.streams.inspect().streams.find((stream) => stream.id === id);
  }
}

export function openFrame(stream: number, priority: Priority = 1): StreamFrame {
  return { kind: 'stream-open', stream, sourcePort: 50_000, destinationPort: 80, priority };
}

export function dataFrame(stream: number, offset: number, data: Uint8Array = EMPTY, fin = false): StreamFrame {
  return { kind: 'stream-data', stream, offset, fin, data };
}

export function resetFrame(stream: number, finalSize: number, code = 7): StreamFrame {
  return { kind: 'stream-reset', stream, code, finalSize };
}

export function stopFrame(stream: number, code = 7): StreamFrame {
  return { kind: 'stream-stop', stream, code };
}

export function creditFrame(stream: number, limit: number): StreamFrame {
  return { kind: 'max-stream-data', stream, limit };
}

/** Bytes that tell their offset, so that a wrong place shows. */
export function pattern(offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = patternAt(offset + i);
  return bytes;
}

/** Whether these are the bytes at that offset: much quicker than comparing element by element in an assertion. */
export function isPattern(bytes: Uint8Array, offset: number): boolean {
  return equal(bytes, pattern(offset, bytes.length));
}

export function patternAt(offset: number): number {
  return (offset * 31 + (offset >>> 8) * 7) & 0xff;
}

/** What the peer of `from` hears, and it is acknowledged at once; the events are left to be polled. */
export function deliver(from: End, to: End, bytes: number = PACKET_BYTES): number {
  const packets = from.sendAll(bytes);
  for (const packet of packets) {
    for (const outcome of to.hear(...(packet.frames as StreamFrame[]))) {
      if (outcome !== undefined) throw new Error(`refused: ${outcome}`);
    }
    from.acknowledge(packet);
  }
  return packets.length;
}

/** A stream of the peer's, opened and accepted, its event taken. */
export function accepted(end: End, id: number, priority: Priority = 1): number {
  end.hear(openFrame(id, priority));
  end.events();
  end.streams.accept(id);
  return id;
}

export function kindsOf(frames: readonly Frame[]): string[] {
  return frames.map((frame) => frame.kind);
}

/** Two ends that know of one stream, opened by the first and taken by the other. */
export function connected(priority: Priority = 1): { a: End; b: End; id: number } {
  const a = new End();
  const b = new End({ opensEven: false });
  const id = a.open(priority);
  deliver(a, b);
  b.events();
  b.streams.accept(id);
  deliver(b, a);
  expect(a.kinds()).toEqual(['accepted']);
  return { a, b, id };
}

/** Frames and events to and fro until nothing is left to say. */
export function settle(a: End, b: End): void {
  while (deliver(a, b) + deliver(b, a) > 0);
}
