import { describe, expect, it } from 'vitest';
import { PacketContents } from '../../../../transport/packet-contents.ts';
import { ChunkPool } from '../../../../transport/streams/chunk-pool.ts';
import { DEFAULT_STREAM_CONFIG } from '../../../../transport/streams/constants.ts';
import { NodeBudget } from '../../../../transport/streams/flow-control.ts';
import { SendingHalf, type SendingState } from '../../../../transport/streams/sending-half.ts';
import { decodeFrames } from '../../../../wire/frame-reader.ts';
import type { Frame } from '../../../../wire/frames.ts';
import { ByteWriter } from '../../../../wire/writer.ts';
import { KIB, MIB, pattern } from './lab.ts';

type Kind = SendingState['kind'];

/** A half by itself, its frames as they come. */
class Rig {
  readonly half: SendingHalf;
  readonly budget: NodeBudget;

  constructor(start = 0, budget: NodeBudget = new NodeBudget()) {
    this.half = new SendingHalf(new ChunkPool(), start);
    this.budget = budget;
  }

  get kind(): Kind {
    return this.half.state.kind;
  }

  write(length: number, max: number = DEFAULT_STREAM_CONFIG.sendBufferMax): number {
    return this.half.write(pattern(this.half.written, length), { max, budget: this.budget });
  }

  /** One frame, the kind of whichever is due. */
  frame(bytes = 1_000, credit: number = Number.POSITIVE_INFINITY): Frame | undefined {
    const buffer = new Uint8Array(bytes);
    const writer = new ByteWriter(buffer);
    const contents = new PacketContents();
    if (this.half.hasResetDue) this.half.writeReset(writer, 0, contents);
    else if (this.half.hasResend) this.half.writeResend(writer, 0, contents);
    else if (this.half.fresh > 0) this.half.writeFresh(writer, 0, contents, credit);
    if (writer.offset === 0) return undefined;
    const frames = decodeFrames(buffer.subarray(0, writer.offset));
    return 'kind' in frames ? undefined : frames[0];
  }

  send(): void {
    while (this.frame() !== undefined);
  }
}

/** How each state of RFC 9000 §3.1 is reached. */
const IN: Readonly<Record<Kind, () => Rig>> = {
  ready: () => new Rig(),
  send: () => {
    const rig = new Rig();
    rig.write(100);
    rig.send();
    return rig;
  },
  finishing: () => {
    const rig = IN.send();
    rig.write(50);
    rig.half.finish();
    return rig;
  },
  'data-sent': () => {
    const rig = IN.finishing();
    rig.send();
    return rig;
  },
  'data-recvd': () => {
    const rig = IN['data-sent']();
    rig.half.onAcknowledged(0, 100, false, rig.budget);
    rig.half.onAcknowledged(100, 50, true, rig.budget);
    return rig;
  },
  'reset-sent': () => {
    const rig = IN.send();
    rig.half.reset(9, rig.budget);
    return rig;
  },
  'reset-recvd': () => {
    const rig = IN['reset-sent']();
    rig.send();
    rig.half.onResetAcknowledged();
    return rig;
  },
};

const INPUTS: Readonly<Record<string, (rig: Rig) => void>> = {
  write: (rig) => {
    if (!rig.half.isClosedForWriting) rig.write(10);
  },
  'send what is due': (rig) => rig.send(),
  finish: (rig) => rig.half.finish(),
  reset: (rig) => rig.half.reset(5, rig.budget),
  'all acknowledged': (rig) => rig.half.onAcknowledged(0, rig.half.sent, false, rig.budget),
  'all acknowledged with FIN': (rig) => rig.half.onAcknowledged(0, rig.half.sent, true, rig.budget),
  'all lost with FIN': (rig) => rig.half.onLost(0, rig.half.sent, true),
  'reset acknowledged': (rig) => rig.half.onResetAcknowledged(),
  'reset lost': (rig) => rig.half.onResetLost(),
  'more credit': (rig) => rig.half.raiseLimit(MIB),
};

/** Where an input leads from each state; anything not named stays. */
const LEADS: Readonly<Record<Kind, Readonly<Record<string, Kind>>>> = {
  ready: { finish: 'finishing', reset: 'reset-sent' },
  send: { finish: 'finishing', reset: 'reset-sent' },
  finishing: { 'send what is due': 'data-sent', reset: 'reset-sent' },
  'data-sent': { reset: 'reset-sent', 'all acknowledged with FIN': 'data-recvd' },
  'data-recvd': {},
  'reset-sent': { 'reset acknowledged': 'reset-recvd' },
  'reset-recvd': {},
};

describe('a sending half (RFC 9000 §3.1)', () => {
  for (const from of Object.keys(IN) as Kind[]) {
    for (const [name, input] of Object.entries(INPUTS)) {
      const to = LEADS[from][name] ?? from;
      it(`in ${from}, on "${name}", ${to === from ? 'stays' : `goes to ${to}`}`, () => {
        const rig = IN[from]();
        expect(rig.kind).toBe(from);
        input(rig);
        expect(rig.kind).toBe(to);
        // Whatever came, what is due can be said, and the half comes to an end once it is reset or finished and acknowledged.
        rig.send();
        if (rig.kind === 'ready' || rig.kind === 'send') rig.half.finish();
        rig.send();
        rig.half.onAcknowledged(0, rig.half.sent, true, rig.budget);
        rig.half.onResetAcknowledged();
        expect(rig.half.isTerminal).toBe(true);
        expect(rig.budget.used).toBe(0);
      });
    }
  }

  it('takes bytes in ready and send, and nowhere else', () => {
    const open = (Object.keys(IN) as Kind[]).filter((kind) => !IN[kind]().half.isClosedForWriting);
    expect(open).toEqual(['ready', 'send']);
  });

  it('puts the FIN on the last bytes', () => {
    const rig = new Rig();
    rig.write(5);
    rig.half.finish();
    expect(rig.frame()).toMatchObject({ kind: 'stream-data', offset: 0, fin: true, data: pattern(0, 5) });
    expect(rig.frame()).toBeUndefined();
  });

  it('says a FIN that comes later in an empty frame', () => {
    const rig = IN.send();
    rig.half.finish();
    expect(rig.frame()).toMatchObject({ offset: 100, fin: true, data: new Uint8Array(0) });
    expect(rig.frame()).toBeUndefined();
  });

  it('says a lost FIN again, with the bytes before it only where they were lost too', () => {
    const rig = IN['data-sent']();
    rig.half.onAcknowledged(0, 100, false, rig.budget);
    rig.half.onLost(100, 50, true);
    expect(rig.frame()).toMatchObject({ offset: 100, fin: true, data: pattern(100, 50) });
    rig.half.onAcknowledged(100, 50, false, rig.budget);
    rig.half.onLost(150, 0, true);
    expect(rig.frame()).toMatchObject({ offset: 150, fin: true, data: new Uint8Array(0) });
    rig.half.onAcknowledged(150, 0, true, rig.budget);
    expect(rig.kind).toBe('data-recvd');
  });

  it('does not say a lost FIN again that another packet brought over', () => {
    const rig = IN['data-sent']();
    rig.half.onAcknowledged(150, 0, true, rig.budget);
    rig.half.onLost(100, 50, true);
    // The bytes go again, and with them a FIN that costs nothing.
    expect(rig.frame()).toMatchObject({ offset: 100, fin: true });
    expect(rig.frame()).toBeUndefined();
    rig.half.onLost(150, 0, true);
    expect(rig.frame()).toBeUndefined();
  });

  it('waits for all bytes although the FIN is acknowledged', () => {
    const rig = IN['data-sent']();
    rig.half.onAcknowledged(100, 50, true, rig.budget);
    expect(rig.kind).toBe('data-sent');
    rig.half.onAcknowledged(0, 100, false, rig.budget);
    expect(rig.kind).toBe('data-recvd');
  });

  it.each<[Kind, number]>([
    ['ready', 0],
    ['send', 100],
    ['finishing', 100],
    ['data-sent', 150],
  ])('reset in %s has the final size %i: what went out', (from, finalSize) => {
    const rig = IN[from]();
    expect(rig.half.reset(5, rig.budget)).toBe(true);
    expect(rig.frame()).toEqual({ kind: 'stream-reset', stream: 0, code: 5, finalSize });
    expect([rig.half.buffered, rig.half.hasResend, rig.half.fresh]).toEqual([0, false, 0]);
    // Lost, it is said again; the first code stays.
    rig.half.onResetLost();
    expect(rig.half.reset(6, rig.budget)).toBe(false);
    expect(rig.frame()).toEqual({ kind: 'stream-reset', stream: 0, code: 5, finalSize });
  });

  it('does not send beyond the limit, nor one byte short of it', () => {
    const rig = new Rig();
    rig.write(256 * KIB);
    rig.send();
    expect([rig.half.sent, rig.half.fresh]).toEqual([256 * KIB, 0]);
    rig.half.onAcknowledged(0, 256 * KIB, false, rig.budget);
    rig.write(100);
    expect([rig.half.fresh, rig.frame()]).toEqual([0, undefined]);
    rig.half.raiseLimit(256 * KIB + 1);
    expect(rig.frame()).toMatchObject({ offset: 256 * KIB, data: pattern(256 * KIB, 1) });
    // A limit that shrinks is an old one.
    rig.half.raiseLimit(10);
    expect([rig.half.limit, rig.half.fresh]).toEqual([256 * KIB + 1, 0]);
  });

  it('sends no more than the credit of the tunnel', () => {
    const rig = new Rig();
    rig.write(1_000);
    expect(rig.frame(1_000, 300)).toMatchObject({ data: pattern(0, 300) });
  });

  it('does not begin a frame in the last few bytes of a packet, unless it is whole there', () => {
    const rig = new Rig();
    rig.write(1_000);
    expect(rig.frame(30)).toBeUndefined();
    expect(rig.frame(60)).toMatchObject({ offset: 0 });
    const short = new Rig();
    short.write(5);
    expect(short.frame(9)).toMatchObject({ data: pattern(0, 5) });
  });

  it.each([64, 65, 66, 67, 68, 69, 70, 16_380, 16_387, 16_388, 16_389, 16_390])(
    'fills a packet of %i bytes and not more',
    (bytes) => {
      const rig = new Rig();
      rig.write(100_000);
      const frame = rig.frame(bytes);
      expect(frame?.kind === 'stream-data' && frame.data.length).toBeGreaterThanOrEqual(bytes - 8);
    },
  );

  it('takes 256 KiB, and the writer waits until a quarter of that is free', () => {
    const rig = new Rig();
    const options = { max: DEFAULT_STREAM_CONFIG.sendBufferMax, budget: rig.budget };
    expect(rig.write(300 * KIB)).toBe(256 * KIB);
    expect(rig.write(1)).toBe(0);
    rig.send();
    rig.half.onAcknowledged(0, 64 * KIB - 1, false, rig.budget);
    expect(rig.half.takeWritable(options)).toBe(false);
    rig.half.onAcknowledged(64 * KIB - 1, 1, false, rig.budget);
    expect(rig.half.takeWritable(options)).toBe(true);
    expect(rig.half.takeWritable(options)).toBe(false);
  });

  it('lets a writer that waits go on where the window opened further and the buffer can follow, acknowledged or not', () => {
    const rig = new Rig();
    const options = { max: DEFAULT_STREAM_CONFIG.sendBufferMax, budget: rig.budget };
    rig.write(300 * KIB);
    rig.send();
    expect(rig.half.takeWritable(options)).toBe(false);
    rig.half.raiseLimit(MIB);
    expect(rig.half.takeWritable(options)).toBe(true);
    expect(rig.write(MIB)).toBe(768 * KIB);
    const poor = new Rig(0, new NodeBudget(0));
    poor.write(300 * KIB);
    poor.half.raiseLimit(MIB);
    expect(poor.half.takeWritable({ ...options, budget: poor.budget })).toBe(false);
  });

  it('has a buffer as large as the window that the peer opened, at most 32 MiB, lent by the node', () => {
    const rig = new Rig();
    rig.half.raiseLimit(MIB);
    expect(rig.write(10 * MIB)).toBe(MIB);
    expect(rig.budget.used).toBe(768 * KIB);
    rig.half.raiseLimit(100 * MIB);
    expect(rig.write(100 * MIB)).toBe(31 * MIB);
    rig.send();
    rig.half.onAcknowledged(0, 32 * MIB, false, rig.budget);
    expect(rig.budget.used).toBe(0);
  });

  it('makes do with 256 KiB where the node has nothing to lend, and with less where it may have less', () => {
    const poor = new Rig(0, new NodeBudget(0));
    poor.half.raiseLimit(MIB);
    expect(poor.write(MIB)).toBe(256 * KIB);
    const tiny = new Rig();
    expect(tiny.write(MIB, 1_000)).toBe(1_000);
  });

  it('takes no byte at or beyond 2^53', () => {
    const rig = new Rig(2 ** 53 - 1 - 10);
    rig.half.raiseLimit(2 ** 53 - 1);
    expect(rig.write(20)).toBe(10);
    expect(rig.write(20)).toBe(0);
    rig.half.finish();
    expect(rig.frame()).toMatchObject({ offset: 2 ** 53 - 11, fin: true, data: pattern(2 ** 53 - 11, 10) });
  });
});
