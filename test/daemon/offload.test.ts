import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { constants } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { randomBytes } from '../../base/rng.ts';
import type { Ffi } from '../../crypto/ffi.ts';
import { loadFfi } from '../../daemon/ffi.ts';
import { openOffloadSocket } from '../../daemon/offload-socket.ts';
import type { UdpRoute } from '../../daemon/udp-route.ts';
import { BindError, UdpSocket, type UdpSocketOptions } from '../../daemon/udp-socket.ts';
import { SeededRng } from '../../sim/rng.ts';
import { ipEndpoint } from '../../wire/ip-endpoint.ts';

const SEED = 9;
const rng = new SeededRng(SEED);
const V4_LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const V6_LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const ffi = await loadFfi();
const probe = ffi && openOffloadSocket(ffi, { host: '127.0.0.1', port: 0, bufferBytes: 4_096 });
probe?.close();
const canCut = probe?.sendsSegments === true && probe.joinsReceived;

const opened: UdpSocket[] = [];
afterEach(async () => {
  for (let one = opened.pop(); one !== undefined; one = opened.pop()) await one.close();
});

/** A socket, and what it was brought: the reads, each joined of as many packets as the kernel liked. */
async function open(options: Partial<UdpSocketOptions> = {}): Promise<{ socket: UdpSocket; reads: Uint8Array[] }> {
  const reads: Uint8Array[] = [];
  const listener = {
    datagram: (_route: unknown, bytes: Uint8Array) => reads.push(bytes.slice()),
    writable: () => undefined,
  };
  const socket = await UdpSocket.open({ index: 0, ffi, listener, ...options });
  opened.push(socket);
  return { socket, reads };
}

function total(reads: readonly Uint8Array[]): number {
  return reads.reduce((sum, { length }) => sum + length, 0);
}

describe.skipIf(!canCut)(`a socket that the kernel helps (skipped where there is no such kernel), seed ${SEED}`, () => {
  it.each([
    ['of both families', {}],
    ['of IPv4', { host: '127.0.0.1' }],
  ])('%s sends a batch in one piece, which arrives as it was in few reads', async (_, where) => {
    const from = await open(where);
    const to = await open(where);
    expect(from.socket.offload).toEqual({ cutsBatches: true, joinsPackets: true, searchesMtu: true });
    const route = from.socket.routeTo(ipEndpoint(V4_LOOPBACK, to.socket.localPort));
    for (const [segmentSize, length] of [
      [1_200, 54 * 1_200],
      [1_200, 39 * 1_200 + 7],
      [1_452, 2_904],
      [9_000, 63_000],
    ] as const) {
      to.reads.length = 0;
      const batch = randomBytes(rng, length);
      expect(from.socket.send({ route, length, segmentSize }, batch)).toBe(Math.ceil(length / segmentSize));
      await expect.poll(() => total(to.reads)).toBe(length);
      expect(Buffer.compare(Buffer.concat(to.reads), batch)).toBe(0);
      expect(to.reads.length).toBeLessThan(length / segmentSize);
    }
    await from.socket.drained();
    expect(from.socket.counts.datagramsSent).toBe(54 + 40 + 2 + 7);
    expect([...from.socket.errors]).toEqual([]);
  });

  it('leaves a packet whole that is larger than the pieces of the batch before it', async () => {
    const from = await open({ host: '127.0.0.1' });
    const plain = await open({ host: '127.0.0.1', ffi: undefined });
    const route = from.socket.routeTo(ipEndpoint(V4_LOOPBACK, plain.socket.localPort));
    const bytes = randomBytes(rng, 60_000);
    from.socket.send({ route, length: 2_400, segmentSize: 1_200 }, bytes);
    from.socket.send({ route, length: 1_452, segmentSize: 1_452 }, bytes);
    from.socket.send({ route, length: 60_000, segmentSize: 60_000 }, bytes);
    from.socket.send({ route, length: 3_601, segmentSize: 1_200 }, bytes);
    await expect
      .poll(() => plain.reads.map(({ length }) => length))
      .toEqual([...[1_200, 1_200, 1_452, 60_000], ...[1_200, 1_200, 1_200, 1]]);
  });

  it('waits where the kernel has no room, and everything arrives in its order', async () => {
    // The loopback of this machine always has room.
    let sends = 0;
    const crowded: Ffi = {
      ...ffi!,
      find: (name, result, args) => {
        const call = ffi!.find(name, result, args);
        return name === 'sendto' ? (...values) => (sends++ % 2 === 0 ? -1 : call!(...values)) : call;
      },
      errno: () => constants.errno.EAGAIN,
    };
    const from = await open({ host: '127.0.0.1', ffi: crowded });
    const to = await open({ host: '127.0.0.1' });
    const route = from.socket.routeTo(ipEndpoint(V4_LOOPBACK, to.socket.localPort));
    const bytes = randomBytes(rng, 10 * 600);
    for (let start = 0; start < bytes.length; start += 600) {
      await from.socket.drained();
      from.socket.send({ route, length: 600, segmentSize: 600 }, bytes.subarray(start, start + 600));
    }
    await expect.poll(() => total(to.reads)).toBe(bytes.length);
    expect(Buffer.compare(Buffer.concat(to.reads), bytes)).toBe(0);
    await from.socket.drained();
    expect(sends).toBe(10);
    expect(from.socket.counts.datagramsSent).toBe(10);
    expect([...from.socket.errors]).toEqual([]);
  });

  it('counts what the kernel refuses, and goes on', async () => {
    const from = await open({ host: '127.0.0.1' });
    const to = await open({ host: '127.0.0.1' });
    // From loopback nothing leaves the machine.
    const nowhere = from.socket.routeTo(ipEndpoint(Uint8Array.of(192, 0, 2, 1), 9));
    from.socket.send({ route: nowhere, length: 10, segmentSize: 10 }, new Uint8Array(10));
    expect([...from.socket.errors]).toEqual([['EINVAL', 1]]);
    const route = from.socket.routeTo(ipEndpoint(V4_LOOPBACK, to.socket.localPort));
    from.socket.send({ route, length: 10, segmentSize: 10 }, new Uint8Array(10));
    await expect.poll(() => total(to.reads)).toBe(10);
    expect(from.socket.counts.datagramsSent).toBe(1);
  });

  it('knows whom each of many reads came from, whichever way it was read', async () => {
    const seen = new Map<UdpRoute, number[]>();
    const listener = {
      datagram: (route: UdpRoute, bytes: Uint8Array) => {
        seen.set(route, [...(seen.get(route) ?? []), bytes[0]!]);
        return 1;
      },
      writable: () => undefined,
    };
    const to = await open({ listener });
    const senders = [await open({ host: '127.0.0.1' }), await open({ host: '127.0.0.2' }), await open()];
    const hosts = ['::ffff:127.0.0.1', '::ffff:127.0.0.2', '::1'];
    const remotes = [V4_LOOPBACK, V4_LOOPBACK, V6_LOOPBACK];
    for (let number = 0; number < 60; number++) {
      for (const [i, { socket }] of senders.entries()) {
        const route = socket.routeTo(ipEndpoint(remotes[i]!, to.socket.localPort));
        // Large enough that there is more behind it.
        const length = 5_000;
        socket.send({ route, length, segmentSize: length }, new Uint8Array(length).fill(number));
      }
    }
    await expect.poll(() => [...seen.values()].flat().length).toBe(180);
    const numbers = Array.from({ length: 60 }, (_, number) => number);
    for (const [i, { socket }] of senders.entries()) {
      const route = to.socket.routeTo(
        ipEndpoint(i === 2 ? V6_LOOPBACK : Uint8Array.of(127, 0, 0, i + 1), socket.localPort),
      );
      expect(route.host).toBe(hosts[i]);
      expect(seen.get(route), hosts[i]).toEqual(numbers);
    }
  });

  it('says of a port in use what a socket without help says', async () => {
    const { socket } = await open();
    const refusals = [ffi, undefined].map((lent) =>
      open({ ffi: lent, port: socket.localPort }).then(
        () => undefined,
        (error: unknown) => error as BindError,
      ),
    );
    const [withHelp, without] = await Promise.all(refusals);
    expect(withHelp).toBeInstanceOf(BindError);
    expect([withHelp!.code, withHelp!.message, withHelp!.systemCode]).toEqual([
      without!.code,
      without!.message,
      without!.systemCode,
    ]);
    await expect(open({ host: '192.0.2.1' })).rejects.toThrow('EADDRNOTAVAIL');
  });

  it('leaves nothing behind where `dgram` does not take it', async () => {
    const { socket } = await open({ host: '127.0.0.1' });
    const where = { host: '127.0.0.1', port: socket.localPort };
    await socket.close();
    const create = (options: SocketOptions): Socket => {
      const refusing = createSocket(options);
      refusing.bind = () => {
        throw Object.assign(new Error('no'), { code: 'ENOMEM' });
      };
      return refusing;
    };
    await expect(open({ ...where, createSocket: create })).rejects.toMatchObject({ systemCode: 'ENOMEM' });
    // Its port is free again.
    expect((await open(where)).socket.localPort).toBe(where.port);
  });

  it("is nobody else's to bind, whatever they allow others themselves", async () => {
    for (const lent of [ffi, undefined]) {
      const { socket } = await open({ ffi: lent });
      for (const [type, address] of [
        ['udp6', '::'],
        ['udp4', '0.0.0.0'],
        ['udp4', '127.0.0.1'],
      ] as const) {
        const thief = createSocket({ type, reuseAddr: true });
        const outcome = await new Promise<string>((resolve) => {
          thief.once('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? ''));
          thief.bind(socket.localPort, address, () => resolve('bound'));
        });
        thief.close();
        expect(outcome, `${type} ${address}`).toBe('EADDRINUSE');
      }
    }
  });

  it('sends one by one what the kernel refuses to cut, and asks it again for smaller pieces only', async () => {
    const from = await open({ host: '127.0.0.1' });
    const to = await open({ host: '127.0.0.1' });
    const route = from.socket.routeTo(ipEndpoint(V4_LOOPBACK, to.socket.localPort));
    // More pieces than the kernel cuts (128 at the most): EINVAL.
    const batch = randomBytes(rng, 60_000);
    from.socket.send({ route, length: 60_000, segmentSize: 100 }, batch);
    await from.socket.drained();
    expect([...from.socket.errors]).toEqual([['EINVAL', 1]]);
    expect(route.segmentMax).toBe(99);
    expect(from.socket.offload.cutsBatches).toBe(true);
    from.socket.send({ route, length: 12_000, segmentSize: 4_000 }, batch);
    await expect.poll(() => total(to.reads)).toBe(12_000);
    expect([...from.socket.errors]).toEqual([['EINVAL', 1]]);
  });
});

describe('a socket without help', () => {
  it('says so, tries no packets but those every path carries, except on this machine', async () => {
    const { socket } = await open({ ffi: undefined });
    expect(socket.offload).toEqual({ cutsBatches: false, joinsPackets: false, searchesMtu: false });
    expect(socket.routeTo(ipEndpoint(Uint8Array.of(192, 0, 2, 1), 1)).mtuMax).toBe(1_200);
    expect(socket.routeTo(ipEndpoint(V4_LOOPBACK, 1)).mtuMax).toBe(65_507);
  });
});
