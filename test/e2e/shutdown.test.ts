import { afterEach, describe, expect, it } from 'vitest';
import { isBuilt, joinPrograms, type Outcome, untilNoStreams } from './support.ts';
import { type End, MEGABYTE, Transfers } from './transfer.ts';

/** In milliseconds: what was written has five seconds to arrive, and the rest has to be fast. */
const STOPPED_WITHIN = 6_000;

let transfers: Transfers;
afterEach(() => transfers.close());

describe.runIf(isBuilt)('a daemon that is told to stop (needs `npm run build`)', () => {
  it('under load stops in order and in time, and no stream looks as if it had ended', async () => {
    transfers = await Transfers.open();
    const streams: (readonly [End, End])[] = [];
    for (let i = 0; i < 4; i++) streams.push(await transfers.begin((i % 2) as 0 | 1));
    const [{ daemon, program }, other] = transfers.sides;
    const lost = program.do('lost');
    const toldAt = Date.now();
    daemon.signal('SIGTERM');
    const { status, signal, at } = await daemon.exit;
    expect({ status, signal }).toEqual({ status: 0, signal: null });
    expect(at - toldAt).toBeLessThanOrEqual(STOPPED_WITHIN);
    expect(await lost).toMatchObject({ code: 'ERR_WARREN_DAEMON_STOPPED' });
    const outcomes = (side: 0 | 1): Promise<Outcome[]> => Promise.all(streams.map((ends) => ends[side].outcome));
    for (const outcome of await outcomes(0)) {
      expect(outcome.hasEnded).toBe(false);
      expect(outcome.code).toMatch(/^ERR_WARREN_(SHUTDOWN|DAEMON_STOPPED)$/);
    }
    for (const outcome of await outcomes(1)) {
      expect(outcome).toMatchObject({ hasEnded: false, code: 'ERR_WARREN_PEER_CLOSED' });
      expect(outcome.at - toldAt).toBeLessThanOrEqual(STOPPED_WITHIN);
    }
    // Nothing of its own is left but its state, and the other daemon has nothing of it.
    expect(daemon.socketFiles).toEqual([]);
    expect(daemon.files).toEqual(['identity.json', 'name', 'peers.json', 'udp-port']);
    await untilNoStreams(other.daemon);
    expect((await other.daemon.status()).tunnels).toEqual([]);

    // When it comes back it is the same node to its peer.
    const { address, key } = daemon.report;
    await daemon.start();
    expect(daemon.report).toMatchObject({ address, key, created: false });
    await program.connect(daemon);
    const { port } = await other.program.do('listen', { how: 'echo' });
    const { stream } = await program.do('dial', { peer: other.name, port });
    await program.do('end', { stream, text: 'it is me' });
    expect(await program.do('read', { stream })).toEqual({ text: 'it is me' });
  });

  it('lets what was written and ended arrive, whole and with its end', async () => {
    transfers = await Transfers.open();
    const [alice, bob] = transfers.sides;
    const { port } = await bob.program.do('listen', {});
    const { near, far } = await joinPrograms(alice.program, bob.program, 'bob', port);
    // The way back is over, so nothing else is to be waited for.
    await bob.program.do('end', { stream: far });
    await alice.program.do('read', { stream: near });
    const sent = await alice.program.do('send', { stream: near, bytes: 2 * MEGABYTE, seed: 'just in time' });
    alice.daemon.signal('SIGTERM');
    expect(await bob.program.do('receive', { stream: far })).toEqual(sent);
    expect(await bob.program.do('outcome', { stream: far })).toMatchObject({ hasEnded: true });
    expect(await alice.daemon.exit).toMatchObject({ status: 0 });
  });
});
