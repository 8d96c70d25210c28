import { afterEach, expect, it, vi } from 'vitest';
import type { Instant } from '../../base/time.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { runSwarm } from '../../sim/campaigns/swarm.ts';
import { Listeners } from '../../transport/listeners.ts';
import { Path } from '../../transport/path.ts';
import { AckPolicy } from '../../transport/recovery/ack-policy.ts';
import { Recovery } from '../../transport/recovery/recovery.ts';
import { SlidingReplayWindow } from '../../transport/replay-window.ts';
import { EVENT_FINISHED } from '../../transport/streams/events.ts';
import { ReceiveBuffer } from '../../transport/streams/receive-buffer.ts';
import { ReceivingHalf } from '../../transport/streams/receiving-half.ts';
import { SendingHalf } from '../../transport/streams/sending-half.ts';
import { Stream } from '../../transport/streams/stream.ts';
import { StreamTable } from '../../transport/streams/stream-table.ts';
import { StreamsWriter } from '../../transport/streams/streams-writer.ts';

// A simulator that cannot fail proves nothing. Each fault is put into a class for the length of one test, from here: no option of
// any program reaches that far.

/** One method of a class, or one getter, made to do something else. */
interface Fault {
  readonly what: string;
  plant(): void;
  /** What the swarm must say. */
  readonly shows: RegExp;
}

/** Calls the method as it was, whatever has been planted since. */
function original<Method extends (...args: never[]) => unknown>(
  method: Method,
): (self: object, ...args: Parameters<Method>) => ReturnType<Method> {
  return (self, ...args) => Reflect.apply(method, self, args) as ReturnType<Method>;
}

const NOTHING = (): void => {};

const FAULTS: readonly Fault[] = [
  {
    what: 'a STREAM_OPEN that is taken to have arrived when it was sent',
    plant(): void {
      const writeOpen = original(Stream.prototype.writeOpen);
      vi.spyOn(Stream.prototype, 'writeOpen').mockImplementation(function (this: Stream, ...args) {
        const fits = writeOpen(this, ...args);
        if (this.opening === 'sent') this.opening = 'known';
        return fits;
      });
    },
    shows: /has a tunnel closed with code/,
  },
  {
    what: 'lost data that does not go again',
    plant: () => void vi.spyOn(SendingHalf.prototype, 'onLost').mockImplementation(NOTHING),
    shows: /I11/,
  },
  {
    what: 'a lost RESET that is not said again',
    plant: () => void vi.spyOn(SendingHalf.prototype, 'onResetLost').mockImplementation(NOTHING),
    shows: /I11/,
  },
  {
    what: 'a lost STOP that is not said again',
    plant: () => void vi.spyOn(ReceivingHalf.prototype, 'onStopLost').mockImplementation(NOTHING),
    shows: /I11/,
  },
  {
    what: 'a lost MAX_STREAM_DATA that is not said again',
    plant: () => void vi.spyOn(ReceivingHalf.prototype, 'onCreditLost').mockImplementation(NOTHING),
    shows: /I11/,
  },
  {
    what: 'a lost MAX_DATA or MAX_STREAMS that is not said again',
    plant: () => void vi.spyOn(StreamsWriter.prototype, 'onCreditLost').mockImplementation(NOTHING),
    shows: /I11/,
  },
  {
    what: 'a FIN that counts before the bytes in front of it are there',
    plant(): void {
      const receive = original(ReceivingHalf.prototype.receive);
      vi.spyOn(ReceivingHalf.prototype, 'receive').mockImplementation(function (
        this: ReceivingHalf,
        offset,
        data,
        fin,
      ) {
        const inOrder = this.taken + this.ready;
        if (fin && offset > inOrder) return receive(this, inOrder, data.subarray(0, 0), true);
        return receive(this, offset, data, fin);
      });
    },
    shows: /I1: FIN/,
  },
  {
    what: 'a FIN that is told again when it comes again',
    plant(): void {
      const peerKnows = original(StreamTable.prototype.peerKnows);
      vi.spyOn(StreamTable.prototype, 'peerKnows').mockImplementation(function (this: StreamTable, stream) {
        peerKnows(this, stream);
        const { receiving } = stream;
        if (receiving.state.kind === 'data-read' && !receiving.isStopped) this.tell(stream, EVENT_FINISHED);
      });
    },
    shows: /I1: finished/,
  },
  {
    what: 'a segment whose part that was there already is not left out',
    plant(): void {
      const receive = original(ReceiveBuffer.prototype.receive);
      vi.spyOn(ReceiveBuffer.prototype, 'receive').mockImplementation(function (this: ReceiveBuffer, offset, data) {
        const { ready } = this;
        const fresh = offset + data.length - ready;
        const overlaps = offset < ready && fresh > 0;
        return overlaps ? receive(this, ready, data.subarray(0, fresh)) : receive(this, offset, data);
      });
    },
    shows: /I1: bytes of \d+ from \d+ on are others/,
  },
  {
    what: 'an ACK range that begins one too low',
    plant(): void {
      const frame = original(AckPolicy.prototype.frame);
      vi.spyOn(AckPolicy.prototype, 'frame').mockImplementation(function (this: AckPolicy, now: Instant) {
        const ack = frame(this, now);
        const [last, ...others] = [...ack.ranges].reverse();
        const low = { ...last!, smallest: Math.max(0, last!.smallest - 1) };
        return { ...ack, ranges: [...others.reverse(), low] };
      });
    },
    // It may also acknowledge what was never sent.
    shows: /I1: \d+ is acknowledged and not all there|I11|has a tunnel closed with code/,
  },
  {
    what: 'a congestion window that is overdrawn by two packets',
    plant(): void {
      const room = original(Recovery.prototype.room);
      vi.spyOn(Recovery.prototype, 'room').mockImplementation(function (this: Recovery, path) {
        return room(this, path) + 2 * path.mtu;
      });
    },
    shows: /I7: \d+ bytes went out/,
  },
  {
    what: 'a path that is sent more than it has proved',
    plant: () => void vi.spyOn(Path.prototype, 'allowance', 'get').mockReturnValue(Number.MAX_SAFE_INTEGER),
    shows: /I6/,
  },
  {
    what: 'a send buffer without a bound',
    plant(): void {
      const write = original(SendingHalf.prototype.write);
      vi.spyOn(SendingHalf.prototype, 'write').mockImplementation(function (this: SendingHalf, data, options) {
        return write(this, data, { ...options, max: Number.POSITIVE_INFINITY });
      });
    },
    shows: /I5: stream \d+ outgrew its bound/,
  },
  {
    what: 'a place in a backlog that is not given back',
    plant: () => void vi.spyOn(Listeners.prototype, 'forget').mockImplementation(NOTHING),
    shows: /I11: port \d+ of n\d takes no stream/,
  },
];

afterEach(() => void vi.restoreAllMocks());

it.each(FAULTS)('the swarm finds $what, within a hundred seeds', ({ plant, shows }) => {
  plant();
  const { seed, failure } = findFailure(100, (seed) => void runSwarm({ seed, crypto: opensslBackend }));
  expect(failure, `seed ${seed}`).toMatch(shows);
  vi.restoreAllMocks();
  // The fault, and not the seed, is what fails.
  runSwarm({ seed, crypto: opensslBackend });
});

/** Forgets that a number was seen: what a window would do whose ring is cleared one bit too far. */
class ForgetfulReplayWindow extends SlidingReplayWindow {
  override check(): boolean {
    return true;
  }

  override commit(packetNumber: number, now: Instant): void {
    if (super.check(packetNumber)) super.commit(packetNumber, now);
  }
}

it('the swarm finds a replay window that forgets, within fifty seeds', () => {
  const parts = { createReplayWindow: () => new ForgetfulReplayWindow() };
  const { seed, failure } = findFailure(50, (seed) => void runSwarm({ seed, crypto: opensslBackend, parts }));
  expect(failure).toMatch(/I4/);
  runSwarm({ seed, crypto: opensslBackend });
});

function findFailure(
  seedsMax: number,
  run: (seed: number) => void,
): { readonly seed: number; readonly failure: string } {
  for (let seed = 1; seed <= seedsMax; seed++) {
    try {
      run(seed);
    } catch (error) {
      return { seed, failure: String(error) };
    }
  }
  return expect.unreachable(`no seed up to ${seedsMax} shows it`);
}
