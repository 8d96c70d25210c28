import { describe, it } from 'vitest';
import { ping } from './frames.ts';
import { at, Script } from './script.ts';

describe('the last packet that a key may seal', () => {
  it('is CLOSE, and goes out at once, even where nothing else was sent in that batch', () => {
    const t = Script.accepted({ config: { sealedPacketsMax: 20 } });
    // Each is answered with one ACK, which is a batch of its own.
    let i = 0;
    for (; i < 30 && t.state === 'open'; i++) {
      t.recv(at(i), [ping()]);
      t.take(at(i));
    }
    t.expectClosed('KEY_LIMIT');
    t.expect(
      'the last packet',
      t.allSent.at(-1)?.frames.map(({ kind }) => kind),
      ['close'],
    );
    t.expect('packets', t.allSent.length, 20);
  });
});
