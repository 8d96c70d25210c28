import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ECHO_PORT, isBuilt, joinPrograms, untilNoStreams } from './support.ts';
import { MEGABYTE, Transfers } from './transfer.ts';

let transfers: Transfers;
beforeAll(async () => {
  transfers = await Transfers.open();
});
afterAll(() => transfers.close());

describe.runIf(isBuilt)('a program that is killed (needs `npm run build`)', () => {
  it.each([
    ['dialled', 0],
    ['listened', 1],
  ] as const)(
    'in the middle of a stream that it %s: the far program gets an error in place of an end',
    async (_, dialler) => {
      const [{ world, sides }, [killed, other]] = [transfers, await transfers.begin(dialler)];
      await killed.program.kill();
      expect(await other.outcome).toMatchObject({ hasEnded: false, code: 'ERR_WARREN_RESET', streamCode: 14 });
      await untilNoStreams(killed.daemon, other.daemon);
      transfers = transfers.with([{ ...sides[0], program: await world.program(killed.daemon) }, sides[1]]);
    },
  );

  it('leaves its ports to whoever wants them, and is not dialled any more', async () => {
    const [alice, bob] = transfers.sides;
    const victim = await transfers.world.program(bob.daemon);
    await victim.do('listen', { port: 5_500, how: 'nothing' });
    await victim.do('bind', { port: 5_501 });
    await expect(bob.program.do('listen', { port: 5_500 })).rejects.toMatchObject({ code: 'ERR_WARREN_PORT_TAKEN' });
    await expect(bob.program.do('bind', { port: 5_501 })).rejects.toMatchObject({ code: 'ERR_WARREN_PORT_TAKEN' });
    const waiting = alice.program.do('dial', { peer: 'bob', port: 5_500 });
    await victim.kill();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_WARREN_REFUSED' });
    await expect(alice.program.do('dial', { peer: 'bob', port: 5_500 })).rejects.toMatchObject({
      code: 'ERR_WARREN_REFUSED',
    });
    expect((await bob.daemon.status()).listening).toEqual([ECHO_PORT]);
    expect(await bob.program.do('listen', { port: 5_500 })).toEqual({ port: 5_500 });
    expect(await bob.program.do('bind', { port: 5_501 })).toEqual({ port: 5_501 });
    await bob.program.do('unlisten', { port: 5_500 });
  });

  it('after it has ended its stream: all it wrote arrives, and its end', async () => {
    const [alice, bob] = transfers.sides;
    const victim = await transfers.world.program(alice.daemon);
    const { port } = await bob.program.do('listen', {});
    const { near, far } = await joinPrograms(victim, bob.program, 'bob', port);
    // More than fits into all windows on the way, so that most of it is still here when it is killed.
    const sent = victim.do('send', { stream: near, bytes: 3 * MEGABYTE, seed: 'its will' });
    const received = bob.program.do('receive', { stream: far });
    const hashed = await sent;
    await victim.kill();
    expect(await received).toEqual(hashed);
    await bob.program.do('end', { stream: far });
    await bob.program.do('unlisten', { port });
    await untilNoStreams(alice.daemon, bob.daemon);
  });
});

describe.runIf(isBuilt)('a program whose daemon is killed (needs `npm run build`)', () => {
  /** In milliseconds. */
  const AT_ONCE = 1_000;

  it('has all its calls fail at once, those that wait and those that come', async () => {
    const { world, sides } = await Transfers.open();
    try {
      const [{ daemon, program }] = sides;
      const peer = await world.ghost(daemon);
      await program.do('waitForMany', { peer, port: 80 });
      const killedAt = Date.now();
      await daemon.kill();
      const waited = await program.do('failures');
      expect(Object.keys(waited)).toEqual(['dial', 'ping', 'accept', 'receive']);
      const calledAt = Date.now();
      const called = await program.do('callAll', { peer: 'bob', port: 80 });
      for (const [calls, since] of [
        [waited, killedAt],
        [called, calledAt],
      ] as const) {
        for (const [call, { code, at }] of Object.entries(calls)) {
          expect([call, code]).toEqual([call, 'ERR_WARREN_DAEMON_GONE']);
          expect(at - since).toBeLessThanOrEqual(AT_ONCE);
        }
      }
    } finally {
      await world.clear();
    }
  });
});
