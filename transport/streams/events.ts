import type { Priority } from '../../wire/frames.ts';

/**
 * What the application has to know. Each kind is a flag of its stream, told once and in this order, so what waits to be told is
 * bounded by the streams there are:
 *
 * - `opened`: the peer opened a stream. Everything else about it waits until it is accepted or refused.
 * - `accepted`: the peer has taken a stream that was opened here.
 * - `readable`: there is something to read where there was nothing. Read until nothing comes, or come back by yourself.
 * - `writable`: a quarter of the buffer is free, after a write that was not taken whole.
 * - `finished`: the peer's FIN, all bytes before it read.
 * - `acknowledged`: the peer has our FIN and all bytes before it.
 * - `reset`: the peer gave up its side. What was not read is gone.
 * - `stopped`: the peer does not read any more. Our side has been reset with its code.
 * - `closed`: both sides have ended and everything above has been told; the stream is forgotten with this.
 *
 * `streams-available` belongs to no stream: an `open` that was refused for the limit may be tried again.
 */
export type StreamEvent =
  | {
      readonly kind: 'opened';
      readonly stream: number;
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly priority: Priority;
    }
  | {
      readonly kind: 'accepted' | 'readable' | 'writable' | 'finished' | 'acknowledged' | 'closed';
      readonly stream: number;
    }
  | { readonly kind: 'reset' | 'stopped'; readonly stream: number; readonly code: number }
  | { readonly kind: 'streams-available' };

export const EVENT_OPENED = 1;
export const EVENT_ACCEPTED = 2;
export const EVENT_READABLE = 4;
export const EVENT_WRITABLE = 8;
export const EVENT_FINISHED = 16;
export const EVENT_ACKNOWLEDGED = 32;
export const EVENT_RESET = 64;
export const EVENT_STOPPED = 128;
export const EVENT_CLOSED = 256;
