import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Life, routeFrom } from './authenticated-peer.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const held = (): number => {
  collect();
  collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
};
const buffer = new Uint8Array(65_536);

it('a peer that PINGs and leaves one packet of ours unacknowledged makes us remember little', () => {
  const life = new Life({ seed: 1 });
  life.judge.noteNumber = () => {};
  life.endpoint.sendDatagram(life.key, { source: 1, destination: 2 }, new Uint8Array(3), life.now);
  const before = held();
  for (let i = 0; i < 140_000; i++) {
    life.endpoint.handleDatagram(routeFrom(0), life.seal(Uint8Array.of(1)), life.now);
    while (life.endpoint.pollTransmit(buffer, life.now) !== undefined);
  }
  const grown = held() - before;
  expect(grown).toBeLessThan(2 * 2 ** 20);
});
