import {
  CHUNK_BYTES_MAX,
  OUT_OF_ORDER_RANGES_MAX,
  STREAM_WINDOW_INITIAL,
  STREAMS_INITIAL,
  type StreamConfig,
  TUNNEL_WINDOW_INITIAL,
} from '../../transport/streams/constants.ts';
import type { StreamState, StreamsState } from '../../transport/streams/streams.ts';
import type { Tunnel } from '../../transport/tunnel.ts';
import { SimFailure } from '../failure.ts';

/**
 * What must hold of the streams of a tunnel whenever one looks: bounds (I5), limits that are kept and never shrink (I7), a final
 * size that never changes (I1), and between the two ends of a tunnel, that nobody counts on more than the other has given.
 */
export class StreamLimits {
  readonly #known: WeakMap<Tunnel, Known> = new WeakMap();

  /** One end. */
  check(tunnel: Tunnel, state: StreamsState, config: StreamConfig): void {
    const known = this.#knownOf(tunnel);
    const rises = (name: string, limit: number): void => {
      if (limit < (known.limits.get(name) ?? 0)) throw new SimFailure(`I7: ${name} shrank to ${limit}`);
      known.limits.set(name, limit);
    };
    rises('MAX_DATA', state.receiveLimit);
    rises('MAX_STREAMS', state.peerLimit);
    if (state.sent > state.sendLimit || state.received > state.receiveLimit || state.opened > state.openLimit) {
      throw new SimFailure('I7: more than the tunnel was allowed');
    }
    // So many the protocol gives away without asking, whatever we would rather have.
    if (state.peerAlive > Math.max(config.peerStreamsMax, STREAMS_INITIAL))
      throw new SimFailure('I5: too many streams');
    if (state.receiveLimit - state.taken > Math.max(config.tunnelWindowMax, TUNNEL_WINDOW_INITIAL)) {
      throw new SimFailure('I5: the tunnel has promised to hold more than it may');
    }
    let ready = 0;
    for (const stream of state.streams) {
      rises(`MAX_STREAM_DATA ${stream.id}`, stream.receiveLimit);
      if (!isBounded(stream, config)) throw new SimFailure(`I5: stream ${stream.id} outgrew its bound`);
      this.#checkFinalSize(known, stream);
      ready += stream.ready;
    }
    if (ready !== state.ready) throw new SimFailure('I5: the sums of a tunnel are not those of its streams');
  }

  /** Both ends of one tunnel: what one believes of the other's limits is at most what it gave; it has no more than was sent. */
  checkBoth(mine: StreamsState, theirs: StreamsState): void {
    const isKept = mine.sendLimit <= theirs.receiveLimit && theirs.received <= mine.sent;
    if (!isKept || mine.openLimit > theirs.peerLimit) throw new SimFailure('I7: credit that nobody gave');
    const there = new Map(theirs.streams.map((stream) => [stream.id, stream]));
    for (const stream of mine.streams) {
      const facing = there.get(stream.id);
      if (facing === undefined) continue;
      if (stream.sendLimit > facing.receiveLimit || facing.received > stream.sent) {
        throw new SimFailure(`I7: stream ${stream.id} has credit or bytes that nobody gave`);
      }
      // A size that the receiver takes for final is where the sender has stopped.
      if (HAS_ALL.has(facing.receiving) && facing.received !== stream.sent) {
        throw new SimFailure(`I1: stream ${stream.id} ends at ${facing.received} here and at ${stream.sent} there`);
      }
    }
  }

  #checkFinalSize(known: Known, { id, receiving, received }: StreamState): void {
    if (!HAS_ALL.has(receiving)) return;
    const size = known.sizes.get(id) ?? received;
    if (size !== received) throw new SimFailure(`I1: the final size of stream ${id} went from ${size} to ${received}`);
    known.sizes.set(id, size);
  }

  #knownOf(tunnel: Tunnel): Known {
    let known = this.#known.get(tunnel);
    if (known === undefined) {
      known = { limits: new Map(), sizes: new Map() };
      this.#known.set(tunnel, known);
    }
    return known;
  }
}

/** Receiving halves whose highest offset is their final size. One that was stopped may know less. */
const HAS_ALL: ReadonlySet<string> = new Set(['data-recvd', 'data-read', 'reset-recvd', 'reset-read']);

function isBounded(stream: StreamState, config: StreamConfig): boolean {
  return (
    stream.buffered <= config.sendBufferMax &&
    stream.sent <= stream.sendLimit &&
    stream.sent <= stream.written &&
    stream.received <= stream.receiveLimit &&
    // The window may have shrunk since the limit was given; then what comes has room all the same, or is not taken.
    stream.receiveLimit <= stream.taken + Math.max(config.streamWindowMax, STREAM_WINDOW_INITIAL) &&
    stream.received <= stream.taken + stream.window &&
    // What may have come, and the rest of a chunk at either end.
    stream.memory <= stream.window + 2 * CHUNK_BYTES_MAX &&
    stream.ranges <= OUT_OF_ORDER_RANGES_MAX + 1
  );
}

interface Known {
  readonly limits: Map<string, number>;
  readonly sizes: Map<number, number>;
}
