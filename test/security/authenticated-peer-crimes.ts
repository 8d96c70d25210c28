import { expect } from 'vitest';
import { OUT_OF_ORDER_RANGES_MAX } from '../../transport/streams/constants.ts';
import type { CloseCode } from '../../wire/close-codes.ts';
import type { Frame } from '../../wire/frames.ts';
import { bytesAt, type Life } from './authenticated-peer.ts';

export type Crime = readonly [CloseCode, readonly Frame[]];

/** What surely breaks a rule in the state that the victim is in, and how it ends. */
export function sureCrimes(life: Life): readonly Crime[] {
  const { tunnel, ownParity } = life;
  if (tunnel === undefined) return [];
  const all = tunnel.streams.inspect();
  const byte = bytesAt(0, 1);
  const data = (stream: number, offset: number): Frame => ({
    kind: 'stream-data',
    stream,
    offset,
    fin: false,
    data: byte,
  });
  const open = (stream: number): Frame => ({
    kind: 'stream-open',
    stream,
    sourcePort: 1,
    destinationPort: 80,
    priority: 1,
  });
  const unsent = tunnel.inspect().nextPacketNumber;
  const crimes: Crime[] = [
    ['STREAM_LIMIT', [open(2 * all.peerLimit + ownParity)]],
    ['STREAM_LIMIT', [data(2 * all.peerLimit + ownParity, 0)]],
    ['STREAM_STATE', [open(1 - ownParity)]],
    ['STREAM_STATE', [data(2 * all.opened + 1 - ownParity, 0)]],
    ['PROTOCOL_VIOLATION', [{ kind: 'ack', delayUs: 0, ranges: [{ smallest: unsent, largest: unsent }] }]],
  ];
  const receiving = all.streams.filter((stream) => stream.receiving === 'recv');
  for (const { id, receiveLimit } of receiving) crimes.push(['FLOW_CONTROL', [data(id, receiveLimit)]]);
  // As far as each may go, all together too far: those that take another piece at all and keep it, so that no credit comes back,
  // and where no window has shrunk below what was given.
  const taking = receiving.filter(
    ({ ranges, received, receiveLimit, taken, window }) =>
      ranges < OUT_OF_ORDER_RANGES_MAX && taken < received && receiveLimit <= taken + window,
  );
  const hasShrunk = all.receiveLimit - all.taken > all.window;
  const rest = taking.reduce((sum, stream) => sum + stream.receiveLimit - stream.received, 0);
  if (!hasShrunk && rest > all.receiveLimit - all.received) {
    crimes.push(['FLOW_CONTROL', taking.map(({ id, receiveLimit }) => data(id, receiveLimit - 1))]);
  }
  for (const { id, received } of all.streams.filter((stream) => stream.receiving === 'size-known')) {
    crimes.push(['FINAL_SIZE', [data(id, received)]]);
  }
  return crimes;
}

/** Whoever got so far is closed for one of these, and told why. */
export function commit([code, frames]: Crime, life: Life): void {
  while (life.endpoint.pollEvent() !== undefined);
  life.say(...frames);
  const reasons: unknown[] = [];
  for (let event = life.endpoint.pollEvent(); event !== undefined; event = life.endpoint.pollEvent()) {
    if (event.kind === 'tunnel-down') reasons.push(event.reason);
  }
  expect(reasons).toEqual([{ kind: 'closed', code }]);
}
