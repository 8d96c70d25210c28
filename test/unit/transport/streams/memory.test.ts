import { describe, expect, it } from 'vitest';
import { heap } from '../../heap.ts';
import { accepted, dataFrame, End, KIB, pattern } from './lab.ts';

describe('memory', () => {
  it('of an idle stream is about a kibibyte, also after it has carried some, and none when it has ended', () => {
    const count = 8_000;
    const end = new End({ opensEven: false, config: { peerStreamsMax: 2 * count } });
    const message = pattern(0, KIB);
    end.hear({ kind: 'max-data', limit: 2 * count * KIB });
    const before = heap();
    for (let i = 0; i < count; i++) {
      const id = accepted(end, 2 * i);
      end.hear(dataFrame(id, 0, message));
      end.events();
      end.read(id);
      end.streams.write(id, message);
      end.acknowledge(...end.sendAll());
    }
    const perStream = (heap() - before) / count;
    expect(end.streams.inspect().streams.length).toBe(count);
    expect(perStream).toBeLessThan(1_100);
    for (let i = 0; i < count; i++) {
      const id = 2 * i;
      end.hear(dataFrame(id, KIB, undefined, true));
      end.streams.finish(id);
      end.acknowledge(...end.sendAll());
    }
    end.events();
    expect(end.streams.inspect().streams.length).toBe(0);
    expect((heap() - before) / count).toBeLessThan(200);
  });
});
