import type { Instant } from '../base/time.ts';
import type { NoteEvent, Observer, WireEvent } from './wire-event.ts';

/**
 * The last events of a run as lines, for a failure to print, or every line as it happens for `live`:
 *
 *   1234.567 ms  a > b  #42  data session c0ffee01 number 256, 1200 bytes  dropped: lost
 *
 * Only the clear part of a packet is read, and it is read when the event happens, since the bytes are only lent.
 */
export class Trace implements Observer {
  readonly #capacity: number;
  readonly #live: ((line: string) => void) | undefined;
  readonly #ring: (() => string)[] = [];
  #next = 0;

  constructor(options: TraceOptions = {}) {
    this.#capacity = options.capacity ?? TRACE_CAPACITY;
    this.#live = options.live;
  }

  datagram(event: WireEvent): void {
    const { time, fromHost, toHost, id, fate, cause, origin, corruption } = event;
    const length = event.bytes.length;
    const packet = readPacket(event.bytes);
    this.#add(() => {
      const copy = origin === 'original' ? '' : `, ${origin}`;
      const broken = corruption === undefined ? '' : `, ${corruption} corrupted`;
      const end = cause === undefined ? fate : `${fate}: ${cause}`;
      return `${at(time)}  ${fromHost} > ${toHost}  #${id}  ${packet()}, ${length} bytes  ${end}${copy}${broken}`;
    });
  }

  note(event: NoteEvent): void {
    const { time, host, text } = event;
    this.#add(() => `${at(time)}  ${host}  ${text}`);
  }

  /** The oldest first. */
  lines(): string[] {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)].map((line) => line());
  }

  #add(line: () => string): void {
    this.#ring[this.#next] = line;
    this.#next = (this.#next + 1) % this.#capacity;
    this.#live?.(line());
  }
}

export const TRACE_CAPACITY = 200;

export interface TraceOptions {
  readonly capacity?: number;
  readonly live?: (line: string) => void;
}

/** What the clear bytes of the first packet say (PROTOCOL.md §1, §2, §4); text is made only where a line is wanted. */
function readPacket(bytes: Uint8Array): () => string {
  const type = bytes[0];
  if (type === undefined) return () => 'empty';
  if (type <= 3) return () => 'stun';
  const layout = LAYOUTS[type];
  if (layout === undefined) return () => `type 0x${type.toString(16)}`;
  if (bytes.length < layout.clearBytes) return () => `${layout.name} cut short`;
  const sender = layout.sender === undefined ? undefined : u32(bytes, layout.sender);
  const receiver = layout.receiver === undefined ? undefined : u32(bytes, layout.receiver);
  const number =
    layout.number === undefined ? undefined : u32(bytes, layout.number) * 2 ** 32 + u32(bytes, layout.number + 4);
  return () => {
    let text = layout.name;
    if (sender !== undefined) text += ` from session ${session(sender)}`;
    if (receiver !== undefined) text += ` session ${session(receiver)}`;
    if (number !== undefined) text += ` number ${number}`;
    return text;
  };
}

interface Layout {
  readonly name: string;
  readonly clearBytes: number;
  readonly sender?: number;
  readonly receiver?: number;
  readonly number?: number;
}

const LAYOUTS: Readonly<Record<number, Layout>> = {
  16: { name: 'initiation', clearBytes: 12, sender: 8 },
  17: { name: 'response', clearBytes: 16, sender: 8, receiver: 12 },
  18: { name: 'cookie', clearBytes: 8, receiver: 4 },
  19: { name: 'data', clearBytes: 16, receiver: 4, number: 8 },
  20: { name: 'relayed', clearBytes: 4 },
};

function u32(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! * 2 ** 24 + ((bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!);
}

function session(id: number): string {
  return id.toString(16).padStart(8, '0');
}

function at(time: Instant): string {
  return `${(time / 1000).toFixed(3)} ms`;
}
