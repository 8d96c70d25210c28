import { afterEach, describe, expect, it } from 'vitest';
import type { Host, IncomingStream, StreamEnd, StreamListener } from '../../ipc/host.ts';
import { ECHO_STREAMS_MAX, ECHO_STREAMS_PER_PEER_MAX, serveEcho } from '../../services/echo.ts';
import { closeAll, dial, pair, pattern, text, User, until } from './node-support.ts';

afterEach(closeAll);

/** What `serveEcho` did with each stream that came, and what to tell those it took. */
class FakeHost {
  readonly taken: StreamListener[] = [];
  refused = 0;
  incoming: (stream: IncomingStream) => void = () => undefined;

  constructor() {
    const host: Pick<Host, 'listen'> = {
      listen: (_options, incoming) => {
        this.incoming = incoming;
        return { port: 7, close: () => undefined };
      },
    };
    serveEcho(host as Host);
  }

  open(key: string): void {
    const peer = { address: '', name: '', key };
    const end: Partial<StreamEnd> = { peer };
    this.incoming({
      peer,
      localPort: 7,
      remotePort: 50_000,
      priority: 1,
      accept: (listener) => {
        this.taken.push(listener);
        return end as StreamEnd;
      },
      refuse: () => {
        this.refused += 1;
      },
      onGone: () => undefined,
    });
  }
}

describe('echo', () => {
  it('says everything back, and finishes when its peer has', async () => {
    const { alice } = await pair();
    const near = dial(alice, 'bob', 7);
    near.end.write(text('hello'));
    await until('it is back', () => near.text === 'hello');
    expect(near.has('finished')).toBe(false);
    const content = pattern(3_000_000);
    near.send(content);
    expect(await near.ended()).toBeUndefined();
    expect(Buffer.compare(near.bytes.subarray(5), content)).toBe(0);
  });

  it('does not read from who does not read from it, and goes on when that changes', async () => {
    const { alice } = await pair();
    const near = dial(alice, 'bob', 7, new User(false));
    const content = pattern(8_000_000);
    near.send(content);
    const other = dial(alice, 'bob', 7);
    other.send(pattern(2_000_000));
    expect(await other.ended()).toBeUndefined();
    expect(near.has('acknowledged')).toBe(false);
    near.isReading = true;
    near.read();
    expect(await near.ended()).toBeUndefined();
    expect(Buffer.compare(near.bytes, content)).toBe(0);
  });

  it('gives up with whoever gives up, whatever the code', async () => {
    const { alice, bob } = await pair();
    for (const giveUp of ['reset', 'stop'] as const) {
      const near = dial(alice, 'bob', 7);
      await near.word('connected');
      near.end[giveUp](9_999);
      if (giveUp === 'stop') near.end.write(text('x'));
      near.end.finish();
      await near.ended();
    }
    await until('nothing is left', () => bob.status().streams === 0);
  });

  it('holds so many streams, and so many of one peer; the places of those that end are free again', () => {
    const host = new FakeHost();
    for (let i = 0; i < ECHO_STREAMS_PER_PEER_MAX + 1; i++) host.open('greedy');
    expect([host.taken.length, host.refused]).toEqual([ECHO_STREAMS_PER_PEER_MAX, 1]);
    for (let i = 0; i < ECHO_STREAMS_MAX - ECHO_STREAMS_PER_PEER_MAX + 1; i++) host.open(`peer ${i}`);
    expect([host.taken.length, host.refused]).toEqual([ECHO_STREAMS_MAX, 2]);
    for (const listener of host.taken.splice(0)) listener.closed(undefined);
    host.open('greedy');
    expect([host.taken.length, host.refused]).toEqual([1, 2]);
  });
});
