import { afterEach, describe, expect, it } from 'vitest';
import { type Daemon, ECHO_PORT, isBuilt, isLong, until, untilNoStreams } from './support.ts';
import { MEGABYTE, Transfers } from './transfer.ts';

/** In milliseconds. */
const TOLD_AT_ONCE = 1_000;
const TOLD_AFTER_RESTART = 2_000;
/** From the restarted daemon's word that it is there to the last of a megabyte there and back. */
const TRANSFERRED_AFTER_RESTART = 2_000;

interface Figures {
  /** The killed daemon's own program. */
  readonly own: number;
  readonly peer: number;
  readonly transferred: number;
}

let transfers: Transfers;
afterEach(() => transfers.close());

describe.runIf(isBuilt)('a daemon that is killed in the middle of a transfer (needs `npm run build`)', () => {
  // In turn: alice's or bob's, of which either may have dialled.
  const cycles = isLong ? 100 : 4;

  it(`and comes back: its programs know at once, its peer’s in two seconds, and all works again (${cycles} times)`, {
    timeout: cycles * 30_000,
  }, async () => {
    transfers = await Transfers.open();
    const figures: Figures[] = [];
    for (let i = 0; i < cycles; i++) {
      const open = transfers.sides[(i + 1) % 2]!.daemon.descriptors;
      const ends = await transfers.begin(((i >> 1) % 2) as 0 | 1);
      const [killed, other] = i % 2 === 0 ? ends : [ends[1], ends[0]];
      const lost = killed.program.do('lost');

      const killedAt = Date.now();
      await killed.daemon.kill();
      const ownOutcome = await killed.outcome;
      expect(ownOutcome).toMatchObject({ hasEnded: false, code: 'ERR_WARREN_DAEMON_GONE' });
      expect(await lost).toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });

      const startedAt = await killed.daemon.start();
      await killed.program.connect(killed.daemon);
      const { stream } = await killed.program.do('dial', { peer: other.name, port: ECHO_PORT });
      const sent = killed.program.do('send', { stream, bytes: MEGABYTE, seed: `cycle ${i}` });
      expect(await killed.program.do('receive', { stream })).toEqual(await sent);
      const transferredAt = Date.now();

      const peerOutcome = await other.outcome;
      expect(peerOutcome).toMatchObject({ hasEnded: false, code: 'ERR_WARREN_PEER_RESTARTED' });
      const times = {
        own: ownOutcome.at - killedAt,
        peer: peerOutcome.at - startedAt,
        transferred: transferredAt - startedAt,
      };
      figures.push(times);
      expect(times.own, `cycle ${i}`).toBeLessThanOrEqual(TOLD_AT_ONCE);
      expect(times.peer, `cycle ${i}`).toBeLessThanOrEqual(TOLD_AFTER_RESTART);
      expect(times.transferred, `cycle ${i}`).toBeLessThanOrEqual(TRANSFERRED_AFTER_RESTART);

      await untilNoStreams(killed.daemon, other.daemon);
      for (const daemon of [killed.daemon, other.daemon]) await expectNothingLeft(daemon);
      await until('no more is open than before', () => other.daemon.descriptors <= open);
    }
    if (isLong) console.log(describeFigures(figures));
  });

  it.each(isLong ? ['30s', '30s', '30s'] : ['2s', '2s', '2s'])(
    'and does not come back: its peer’s program is told after the peer timeout (%s)',
    { timeout: 120_000 },
    async (peerTimeout) => {
      // 30 s is what it is where nobody says.
      transfers = await Transfers.open(isLong ? {} : { peerTimeout });
      const [killed, other] = await transfers.begin(0);
      const killedAt = Date.now();
      await killed.daemon.kill();
      expect(await killed.outcome).toMatchObject({ hasEnded: false, code: 'ERR_WARREN_DAEMON_GONE' });
      expect((await killed.outcome).at - killedAt).toBeLessThanOrEqual(TOLD_AT_ONCE);
      const { at, ...outcome } = await other.outcome;
      expect(outcome).toMatchObject({ hasEnded: false, code: 'ERR_WARREN_PEER_TIMEOUT' });
      const timeout = Number.parseInt(peerTimeout, 10) * 1_000;
      expect(at - killedAt).toBeGreaterThan(timeout - 1_000);
      expect(at - killedAt).toBeLessThanOrEqual(timeout + 5_000);
      await untilNoStreams(other.daemon);
      await expectNothingLeft(other.daemon);
      expect((await other.daemon.status()).tunnels).toEqual([]);
    },
  );
});

async function expectNothingLeft(daemon: Daemon): Promise<void> {
  expect((await daemon.status()).listening).toEqual([ECHO_PORT]);
  expect(daemon.socketFiles).toEqual(['admin.sock', 'app.sock', 'lock']);
  expect(daemon.files).toEqual(['identity.json', 'lock', 'name', 'peers.json', 'udp-port']);
}

function describeFigures(all: readonly Figures[]): string {
  const row = (what: keyof Figures): string => {
    const sorted = all.map((figures) => figures[what]).sort((a, b) => a - b);
    return `${what}: ${sorted[sorted.length >> 1]} ms in the middle, ${sorted.at(-1)} ms at the most`;
  };
  return [`${all.length} cycles`, row('own'), row('peer'), row('transferred')].join('; ');
}
