import { concat } from '../../base/bytes.ts';
import { randomBytes } from '../../base/rng.ts';
import type { SeededRng } from '../../sim/rng.ts';
import { STREAM_WINDOW_INITIAL } from '../../transport/streams/constants.ts';
import { isDecodeError } from '../../wire/decode-error.ts';
import { decodeFrames } from '../../wire/frame-reader.ts';
import type { AckRange, Frame } from '../../wire/frames.ts';
import { bytesAt, type Life } from './authenticated-peer.ts';
import { encodeFrames } from './hostile.ts';

const LAST = 2 ** 53 - 1;
export const EDGES: readonly number[] = [0, 1, 63, 64, 16_383, 16_384, 2 ** 30 - 1, 2 ** 30, 2 ** 32, LAST - 1, LAST];

/** What the peer remembers of a stream that it sends on. */
interface Sending {
  highest: number;
  finalSize: number | undefined;
}

/** Draws its own temper from the seed: which of its tricks it likes, and how often it breaks a rule outright. */
export class Hostile {
  readonly life: Life;
  readonly rng: SeededRng;
  readonly sending: Map<number, Sending> = new Map();
  #nextStream = 0;
  #generation = 1;
  readonly #tricks: readonly (() => readonly Frame[])[];
  readonly #crimes: readonly (() => readonly Frame[])[];
  readonly #lawlessness: number;
  readonly #frames: number;
  readonly #roams: boolean;
  readonly #old: Uint8Array[] = [];

  constructor(life: Life) {
    this.life = life;
    this.rng = life.rng.fork('hostile');
    const { rng } = this;
    const tricks: readonly (() => readonly Frame[])[] = [
      () => this.#open(),
      () => this.#openAhead(),
      () => this.#openCopy(),
      () => this.#openMany(),
      () => this.#dataInOrder(),
      () => this.#dataInOrder(),
      () => this.#dataBehindHole(),
      () => this.#fragments(),
      () => this.#overlap(),
      () => this.#fin(),
      () => this.#reset(),
      () => this.#stop(),
      () => this.#aboutTheGone(),
      () => this.#limit(),
      () => this.#limit(),
      () => this.#leap(),
      () => this.#ack(),
      () => this.#ack(),
      () => this.#ackAll(),
      () => this.#ackBomb(),
      () => [{ kind: 'ping' }],
      () => [{ kind: 'padding', length: 1 + rng.below(300) }],
      () => this.#challenges(),
      () => this.#responses(),
      () => this.#datagrams(),
      () => this.#handshake(),
      () => this.#advice(),
      () => this.#swarmOfTiny(),
    ];
    const liked = tricks.filter(() => rng.chance(0.5));
    this.#tricks = liked.length > 0 ? liked : tricks;
    this.#crimes = [
      () => [{ ...this.#openFrame(this.#own(this.life.judge.given.streams)) }],
      () => [this.#openFrame(this.#victims(rng.below(3)))],
      () => this.#alteredCopy(),
      () => this.#beyondStream(),
      () => this.#beyondTunnel(),
      () => this.#otherFinalSize(),
      () => [this.#about(this.#own(this.#nextStream + rng.below(200)))],
      () => [this.#about(this.#victims(500 + rng.below(200)))],
      () => [this.#about(rng.pick(EDGES))],
      () => [{ kind: 'ack', delayUs: rng.pick(EDGES), ranges: [{ smallest: 0, largest: rng.pick(EDGES) }] }],
      () => [{ kind: 'close', code: rng.pick(EDGES), reason: 'gone' }],
    ];
    this.#lawlessness = rng.pick([0, 0, 0.002, 0.05]);
    this.#frames = rng.pick([1, 3, 12]);
    this.#roams = rng.chance(0.3);
  }

  /** One packet, or one that was sent before, from wherever it likes to be. */
  act(): void {
    const { life, rng } = this;
    const from = this.#roams && rng.chance(0.2) ? 1 + rng.below(12) : 0;
    if (rng.chance(0.03) && this.#old.length > 0) {
      life.feed(rng.pick(this.#old), from);
      return;
    }
    if (rng.chance(this.#lawlessness / 4)) {
      this.#babble(from);
      return;
    }
    const frames: Frame[] = [];
    for (let i = 1 + rng.below(this.#frames); i > 0; i--) {
      const isCrime = rng.chance(this.#lawlessness);
      frames.push(...rng.pick(isCrime ? this.#crimes : this.#tricks)());
    }
    if (frames.length === 0) frames.push({ kind: 'ping' });
    life.judge.noteSaid(frames);
    const plaintext = encodeFrames(...frames);
    if (plaintext.length > 65_000) return;
    const packet = life.seal(plaintext, this.#number());
    if (this.#old.length < 50) this.#old.push(packet);
    life.feed(packet, from);
  }

  #number(): number {
    const { life, rng } = this;
    if (rng.chance(0.05)) life.nextNumber += rng.pick([1, 2, 300, 5_000, 2 ** 31]);
    const late = Math.max(0, life.nextNumber - 1 - rng.below(1_000));
    return rng.chance(0.1) && life.judge.isUnused(late) ? late : life.nextNumber++;
  }

  /** Random bytes, of which now and then some make frames. */
  #babble(from: number): void {
    const plaintext = randomBytes(this.rng, 1 + this.rng.below(200));
    const frames = decodeFrames(plaintext);
    if (!isDecodeError(frames)) this.life.judge.noteSaid(frames);
    this.life.feed(this.life.seal(plaintext), from);
  }

  // Ids.

  #own(number: number): number {
    return 2 * number + this.life.ownParity;
  }

  #victims(number: number): number {
    return 2 * number + (1 - this.life.ownParity);
  }

  /** One that it may send on, in whatever state. */
  #any(): number | undefined {
    const ids = [...this.sending.keys(), ...this.life.judge.heard.keys()];
    return ids.length === 0 ? undefined : this.rng.pick(ids);
  }

  #stateOf(stream: number): Sending {
    let state = this.sending.get(stream);
    if (state === undefined) {
      state = { highest: 0, finalSize: undefined };
      this.sending.set(stream, state);
    }
    return state;
  }

  /** How far it may send on the stream without breaking a rule. */
  #room(stream: number): number {
    const { given } = this.life.judge;
    const { highest, finalSize } = this.#stateOf(stream);
    let sum = 0;
    for (const state of this.sending.values()) sum += state.highest;
    const limit = given.of.get(stream) ?? STREAM_WINDOW_INITIAL;
    return Math.max(0, Math.min(finalSize ?? limit, limit, highest + given.data - sum) - highest);
  }

  // Opening.

  #openFrame(stream: number): Frame & { kind: 'stream-open' } {
    const { rng } = this;
    const destinationPort = rng.pick([80, 80, 80, 81, 9, 7]);
    this.#stateOf(stream);
    return { kind: 'stream-open', stream, sourcePort: 1, destinationPort, priority: rng.pick([0, 1, 2]) };
  }

  #open(): Frame[] {
    if (this.#nextStream >= this.life.judge.given.streams) return [];
    return [this.#opened(this.#nextStream++)];
  }

  readonly #openings: Map<number, Frame> = new Map();

  #opened(number: number): Frame {
    const stream = this.#own(number);
    const frame = this.#openings.get(stream) ?? this.#openFrame(stream);
    this.#openings.set(stream, frame);
    return frame;
  }

  #openAhead(): Frame[] {
    const ahead = this.#nextStream + 1 + this.rng.below(5);
    if (ahead >= this.life.judge.given.streams) return [];
    return [this.#opened(ahead)];
  }

  #openCopy(): Frame[] {
    return this.#openings.size === 0 ? [] : [this.rng.pick([...this.#openings.values()])];
  }

  #openMany(): Frame[] {
    return Array.from({ length: this.rng.below(60) }, () => this.#open()).flat();
  }

  #alteredCopy(): Frame[] {
    const [copy] = this.#openCopy();
    return copy?.kind === 'stream-open' ? [{ ...copy, sourcePort: 2 }] : [];
  }

  // Bytes.

  #data(stream: number, offset: number, length: number, fin = false, isOther = false): Frame {
    const bytes = bytesAt(offset, length);
    return { kind: 'stream-data', stream, offset, fin, data: isOther ? bytes.map((byte) => byte | 0x80) : bytes };
  }

  #sent(stream: number, end: number): void {
    const state = this.#stateOf(stream);
    state.highest = Math.max(state.highest, end);
  }

  #dataInOrder(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const length = Math.min(this.#room(stream), this.rng.below(this.rng.pick([2, 1_200, 20_000])));
    const { highest } = this.#stateOf(stream);
    this.#sent(stream, highest + length);
    return [this.#data(stream, highest, length)];
  }

  #dataBehindHole(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const room = this.#room(stream);
    const { highest } = this.#stateOf(stream);
    const end = highest + this.rng.below(room + 1);
    const offset = Math.max(0, end - this.rng.below(1_000));
    this.#sent(stream, end);
    return [this.#data(stream, offset, end - offset, false, this.rng.chance(0.2))];
  }

  /** Single bytes with gaps between. */
  #fragments(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const stride = 2 + this.rng.below(600);
    const count = Math.min(Math.floor(this.#room(stream) / stride), this.rng.pick([10, 300]));
    const { highest } = this.#stateOf(stream);
    this.#sent(stream, highest + count * stride);
    const order = Array.from({ length: count }, (_, i) => highest + (i + 1) * stride - 1);
    if (this.rng.chance(0.5)) order.reverse();
    return order.map((offset) => this.#data(stream, offset, 1));
  }

  /** What was sent before, or never, once more and in other words. */
  #overlap(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const { highest } = this.#stateOf(stream);
    const offset = this.rng.below(highest + 1);
    return [this.#data(stream, offset, this.rng.below(Math.min(highest - offset, 30_000) + 1), false, true)];
  }

  #fin(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const state = this.#stateOf(stream);
    state.finalSize ??= state.highest + Math.min(this.#room(stream), this.rng.below(2_000));
    const offset = Math.max(0, state.finalSize - this.rng.below(2_500));
    this.#sent(stream, state.finalSize);
    return [this.#data(stream, offset, state.finalSize - offset, true)];
  }

  #reset(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const state = this.#stateOf(stream);
    state.finalSize ??= state.highest + this.rng.below(this.#room(stream) + 1);
    this.#sent(stream, state.finalSize);
    return [{ kind: 'stream-reset', stream, code: this.rng.pick(EDGES), finalSize: state.finalSize }];
  }

  #stop(): Frame[] {
    const stream = this.#any();
    return stream === undefined ? [] : [{ kind: 'stream-stop', stream, code: this.rng.pick(EDGES) }];
  }

  /** Of streams that may have ended long ago. */
  #aboutTheGone(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const { finalSize } = this.#stateOf(stream);
    return finalSize === undefined ? [] : [this.#data(stream, 0, Math.min(finalSize, 100))];
  }

  #about(stream: number): Frame {
    const { rng } = this;
    return rng.pick<() => Frame>([
      () => this.#data(stream, 0, rng.below(10), rng.chance(0.5)),
      () => ({ kind: 'stream-reset', stream, code: 0, finalSize: 0 }),
      () => ({ kind: 'stream-stop', stream, code: 0 }),
      () => ({ kind: 'max-stream-data', stream, limit: rng.pick(EDGES) }),
    ])();
  }

  #beyondStream(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const limit = this.life.judge.given.of.get(stream) ?? STREAM_WINDOW_INITIAL;
    return [this.#data(stream, this.rng.pick([limit, limit - 5, 2 ** 40, LAST - 20]), 10)];
  }

  #beyondTunnel(): Frame[] {
    return [...this.sending.keys()].slice(0, 60).map((stream) => this.#data(stream, STREAM_WINDOW_INITIAL - 1, 1));
  }

  #otherFinalSize(): Frame[] {
    const stream = this.#any();
    if (stream === undefined) return [];
    const { finalSize, highest } = this.#stateOf(stream);
    if (finalSize !== undefined && this.rng.chance(0.5)) return [this.#data(stream, finalSize, 1)];
    return [{ kind: 'stream-reset', stream, code: 0, finalSize: Math.max(0, (finalSize ?? highest) - 1) }];
  }

  // Limits.

  #limit(): Frame[] {
    const { rng } = this;
    const { judge } = this.life;
    const stream = this.#any();
    const step = rng.pick([-1_000, 0, 1, 10, 5_000, 300_000]);
    const raised = (limit: number): number => Math.min(LAST, Math.max(0, limit + step));
    switch (rng.below(3)) {
      case 0:
        return [{ kind: 'max-data', limit: raised(judge.maxData) }];
      case 1:
        return [{ kind: 'max-streams', limit: raised(judge.maxStreams) }];
      default:
        return stream === undefined ? [] : [{ kind: 'max-stream-data', stream, limit: raised(judge.limitOf(stream)) }];
    }
  }

  #leap(): Frame[] {
    const { rng } = this;
    if (rng.chance(0.9)) return [];
    const limit = rng.pick(EDGES);
    const stream = this.#any() ?? this.#own(0);
    return [
      rng.pick<Frame>([
        { kind: 'max-data', limit },
        { kind: 'max-streams', limit },
        { kind: 'max-stream-data', stream, limit },
      ]),
    ].filter((frame) => frame.kind !== 'max-stream-data' || this.sending.has(stream));
  }

  // Acknowledgements.

  #ranges(count: number): AckRange[] {
    const { rng } = this;
    const ranges: AckRange[] = [];
    for (const run of this.life.judge.arrived.slice(-count).reverse()) {
      for (let largest = run.largest - rng.below(4); largest >= run.smallest && ranges.length < count; ) {
        const smallest = Math.max(run.smallest, largest - rng.below(rng.pick([1, 2, 30])));
        ranges.push({ smallest, largest });
        largest = smallest - 2 - rng.below(3);
      }
    }
    return ranges;
  }

  #ack(): Frame[] {
    const ranges = this.#ranges(1 + this.rng.below(8));
    return ranges.length === 0 ? [] : [{ kind: 'ack', delayUs: this.rng.pick(EDGES), ranges }];
  }

  /** Optimistic: at the very instant of sending. */
  #ackAll(): Frame[] {
    return [this.life.judge.ackOfAll];
  }

  #ackBomb(): Frame[] {
    return Array.from({ length: this.rng.below(20) }, (): Frame[] => {
      const ranges = this.#ranges(256);
      return ranges.length === 0 ? [] : [{ kind: 'ack', delayUs: LAST, ranges }];
    }).flat();
  }

  // The rest.

  #challenges(): Frame[] {
    return Array.from({ length: 1 + this.rng.below(40) }, () => ({
      kind: 'path-challenge',
      token: randomBytes(this.rng, 8),
    }));
  }

  /** To a challenge that went to one of its places, or to none; the place is proved once it may have been answered from there. */
  #responses(): Frame[] {
    const { judge } = this.life;
    const challenge = judge.challenges.pop();
    if (challenge === undefined || this.rng.chance(0.3)) {
      return [{ kind: 'path-response', token: randomBytes(this.rng, 8) }];
    }
    judge.noteProved(challenge.to);
    return [{ kind: 'path-response', token: challenge.token }];
  }

  #datagrams(): Frame[] {
    return Array.from({ length: 1 + this.rng.below(30) }, () => ({
      kind: 'datagram',
      sourcePort: this.rng.below(65_536),
      destinationPort: this.rng.below(65_536),
      data: bytesAt(0, this.rng.below(this.rng.pick([2, 1_000]))),
    }));
  }

  #handshake(): Frame[] {
    const { rng } = this;
    if (rng.chance(0.8)) {
      const length = 160 + rng.below(580);
      const header = Uint8Array.of(rng.pick([0x10, 0x11]), 0, length >>> 8, length, 0, 1, 0, 0);
      return [{ kind: 'handshake', message: concat(header, randomBytes(rng, length - 8)) }];
    }
    const message = this.life.initiate(rng.pick([1, ++this.#generation, 2 ** 31 - 1]));
    if (rng.chance(0.5)) message[12 + rng.below(message.length - 12)]! ^= 1 << rng.below(8);
    return [{ kind: 'handshake', message }];
  }

  #advice(): Frame[] {
    const { rng } = this;
    const endpoint = { family: 4 as const, address: randomBytes(rng, 4), port: rng.below(65_536) };
    return [
      {
        kind: 'candidates',
        sequence: rng.pick(EDGES),
        endpoints: Array.from({ length: rng.below(17) }, () => endpoint),
      },
      { kind: 'observed-address', sequence: rng.pick(EDGES), endpoint },
      { kind: 'optional', type: 0xc0 + rng.below(64), data: randomBytes(rng, rng.below(50)) },
    ];
  }

  /** A thousand frames of a few bytes in one packet. */
  #swarmOfTiny(): Frame[] {
    const stream = this.#any();
    const tiny = this.rng.pick<Frame>([
      { kind: 'ping' },
      { kind: 'max-data', limit: 0 },
      { kind: 'optional', type: 0xc0, data: new Uint8Array(0) },
      { kind: 'datagram', sourcePort: 0, destinationPort: 0, data: new Uint8Array(0) },
      ...(stream === undefined
        ? []
        : [this.#data(stream, 0, 0), { kind: 'max-stream-data', stream, limit: 0 } as const]),
    ]);
    return Array.from({ length: 1_000 }, () => tiny);
  }
}
