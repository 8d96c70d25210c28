import { describe, expect, it } from 'vitest';
import { instant } from '../../../../base/time.ts';
import { ChunkPool } from '../../../../transport/streams/chunk-pool.ts';
import { ReceivingHalf, type ReceivingState } from '../../../../transport/streams/receiving-half.ts';
import type { CloseCode } from '../../../../wire/close-codes.ts';
import { KIB, pattern } from './lab.ts';

type Kind = ReceivingState['kind'];

function halfWith(...steps: ((half: ReceivingHalf) => void)[]): ReceivingHalf {
  const half = new ReceivingHalf(new ChunkPool(), instant(0));
  for (const step of steps) step(half);
  return half;
}

const data =
  (offset: number, length: number, fin = false) =>
  (half: ReceivingHalf): CloseCode | undefined => {
    const violation = half.checkData(offset + length, fin);
    if (violation === undefined) half.receive(offset, pattern(offset, length), fin);
    return violation;
  };
const reset =
  (finalSize: number, code = 3) =>
  (half: ReceivingHalf): CloseCode | undefined => {
    const violation = half.checkReset(finalSize);
    if (violation === undefined) half.receiveReset(code, finalSize);
    return violation;
  };
const read = (half: ReceivingHalf): void => {
  while (half.read() !== undefined);
};
const stop = (half: ReceivingHalf): void => half.stop(4);

/** How each state of RFC 9000 §3.2 is reached; 100 bytes are received in all of them, the final size is 150. */
const IN: Readonly<Record<Kind, () => ReceivingHalf>> = {
  recv: () => halfWith(data(0, 100)),
  'size-known': () => halfWith(data(0, 100), data(140, 10, true)),
  'data-recvd': () => halfWith(data(0, 100), data(100, 50, true)),
  'data-read': () => halfWith(data(0, 100), data(100, 50, true), read),
  'reset-recvd': () => halfWith(data(0, 100), reset(150)),
  'reset-read': () => halfWith(data(0, 100), reset(150), (half) => half.markResetRead()),
};

const INPUTS: Readonly<Record<string, (half: ReceivingHalf) => unknown>> = {
  'data in order': data(100, 10),
  'data again': data(0, 100),
  'all data': data(0, 150),
  'FIN at 150': data(150, 0, true),
  'all data with FIN': data(0, 150, true),
  'RESET at 150': reset(150),
  read,
  stop,
  'application told of the reset': (half) => half.markResetRead(),
};

const LEADS: Readonly<Record<Kind, Readonly<Record<string, Kind>>>> = {
  recv: {
    'FIN at 150': 'size-known',
    'all data with FIN': 'data-recvd',
    'RESET at 150': 'reset-recvd',
  },
  'size-known': {
    'all data': 'data-recvd',
    'all data with FIN': 'data-recvd',
    'RESET at 150': 'reset-recvd',
    stop: 'data-read',
  },
  'data-recvd': { read: 'data-read', stop: 'data-read' },
  'data-read': {},
  'reset-recvd': { 'application told of the reset': 'reset-read', stop: 'reset-read' },
  'reset-read': {},
};

describe('a receiving half (RFC 9000 §3.2)', () => {
  for (const from of Object.keys(IN) as Kind[]) {
    for (const [name, input] of Object.entries(INPUTS)) {
      const to = LEADS[from][name] ?? from;
      it(`in ${from}, on "${name}", ${to === from ? 'stays' : `goes to ${to}`}`, () => {
        const half = IN[from]();
        expect(half.state.kind).toBe(from);
        expect(input(half) ?? 'no violation').toBe('no violation');
        expect(half.state.kind).toBe(to);
        // Whatever came before, it can be brought to its end, with all bytes accounted for.
        data(0, 150, true)(half);
        read(half);
        half.markResetRead();
        expect([half.isTerminal, half.highest, half.taken, half.ready, half.memory]).toEqual([true, 150, 150, 0, 0]);
      });
    }
  }

  it.each<[string, (half: ReceivingHalf) => CloseCode | undefined]>([
    ['a FIN elsewhere', data(160, 0, true)],
    ['a FIN before bytes already there', data(10, 10, true)],
    ['a byte beyond', data(150, 1)],
    ['an overlap that reaches beyond', data(140, 20)],
    ['a RESET with a larger size', reset(151)],
    ['a RESET with a smaller size', reset(149)],
  ])('does not have another final size: %s', (_, input) => {
    for (const from of ['size-known', 'data-recvd', 'data-read', 'reset-recvd', 'reset-read'] as const) {
      const half = IN[from]();
      expect(input(half)).toBe('FINAL_SIZE');
      expect(half.state.kind).toBe(from);
    }
  });

  it('has no final size below what it has received', () => {
    expect(data(50, 10, true)(IN.recv())).toBe('FINAL_SIZE');
    expect(reset(99)(IN.recv())).toBe('FINAL_SIZE');
    expect(reset(100)(IN.recv())).toBeUndefined();
  });

  it('takes data up to the limit, and not one byte beyond', () => {
    expect(data(256 * KIB - 1, 1)(IN.recv())).toBeUndefined();
    expect(data(256 * KIB, 0, true)(IN.recv())).toBeUndefined();
    expect(data(256 * KIB, 1)(IN.recv())).toBe('FLOW_CONTROL');
    expect(data(256 * KIB + 1, 0)(IN.recv())).toBe('FLOW_CONTROL');
    expect(reset(256 * KIB)(IN.recv())).toBeUndefined();
    expect(reset(256 * KIB + 1)(IN.recv())).toBe('FLOW_CONTROL');
  });

  it('delivers nothing after a RESET, not even what lay there', () => {
    const half = IN['size-known']();
    reset(150)(half);
    expect([half.read(), half.ready, half.memory]).toEqual([undefined, 0, 0]);
  });

  it('delivers everything where the RESET comes after all bytes', () => {
    const half = IN['data-recvd']();
    reset(150)(half);
    expect(half.read()).toEqual(pattern(0, 150));
    expect(half.state.kind).toBe('data-read');
  });

  it('ends with a FIN that comes when all bytes are read', () => {
    const half = halfWith(data(0, 100), read, data(100, 0, true));
    expect(half.state).toEqual({ kind: 'data-read', finalSize: 100 });
  });

  it('is through with an empty stream at once', () => {
    expect(halfWith(data(0, 0, true)).state).toEqual({ kind: 'data-read', finalSize: 0 });
  });

  it('says STOP until the peer has answered, and only while its end is not known', () => {
    const half = halfWith(data(0, 100), stop);
    expect([half.state.kind, half.hasStopDue, half.isStopped]).toEqual(['recv', true, true]);
    expect([half.taken, half.ready, half.memory]).toEqual([100, 0, 0]);
    data(100, 20)(half);
    expect([half.taken, half.highest, half.memory, half.read()]).toEqual([120, 120, 0, undefined]);
    const answered = halfWith(data(0, 100), stop, reset(110));
    expect([answered.state.kind, answered.hasStopDue, answered.highest, answered.taken]).toEqual([
      'reset-read',
      false,
      110,
      110,
    ]);
    const finished = halfWith(data(0, 100), stop, data(130, 10, true));
    expect([finished.state.kind, finished.highest, finished.taken]).toEqual(['data-read', 140, 140]);
    finished.onStopLost();
    expect(finished.hasStopDue).toBe(false);
  });

  it('gives no more credit once its end is known, or nobody reads', () => {
    const half = halfWith(data(0, 200 * KIB), read);
    expect(half.raiseLimit()).toBe(true);
    expect([half.limit, half.hasCreditDue]).toEqual([456 * KIB, true]);
    data(250 * KIB, 1, true)(half);
    expect([half.hasCreditDue, half.raiseLimit()]).toEqual([false, false]);
    half.onCreditLost(456 * KIB);
    expect(half.hasCreditDue).toBe(false);
    expect(halfWith(data(0, 200 * KIB), stop).raiseLimit()).toBe(false);
  });
});
