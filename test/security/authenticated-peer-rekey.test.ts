import { expect, it } from 'vitest';
import { randomBytes } from '../../base/rng.ts';
import type { Frame } from '../../wire/frames.ts';
import { Life } from './authenticated-peer.ts';
import { encodeFrames } from './hostile.ts';

it('junk responses to a rekey of ours cost no more Diffie-Hellman than rekeys may', () => {
  const life = new Life({ seed: 1, config: { rekeyAfterPackets: 3 } });
  let asked: Uint8Array | undefined;
  const hear = life.judge.hear.bind(life.judge);
  life.judge.hear = (number, to, frames) => {
    for (const frame of frames) if (frame.kind === 'handshake') asked = frame.message.slice();
    hear(number, to, frames);
  };
  for (let i = 0; i < 10; i++) life.say({ kind: 'ping' });
  expect(asked).toBeDefined();
  const junk = (): Frame => {
    const message = new Uint8Array(160);
    message.set([0x11, 0, 0, 160, 0, 1, 0, 0, 1, 2, 3, 4]);
    message.set(asked!.subarray(8, 12), 12);
    message.set(randomBytes(life.rng, 144), 16);
    return { kind: 'handshake', message };
  };
  const packet = life.seal(encodeFrames(...Array.from({ length: 400 }, junk)));
  life.feed(packet);
  // Each of these was two X25519.
  expect(life.endpoint.drops.count('not-authentic')).toBeLessThanOrEqual(20);
});
