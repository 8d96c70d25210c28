import { spawn } from 'node:child_process';
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { ascii, fromHex, toHex } from '../../base/bytes.ts';
import { instant, SECOND } from '../../base/time.ts';
import { createIdentity, type Identity } from '../../crypto/identity.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { isRecordError, signIdentityRecord } from '../../crypto/records.ts';
import { EndpointDriver, type EndpointDriverOptions } from '../../daemon/endpoint-driver.ts';
import { parseIpAddress } from '../../daemon/ip-text.ts';
import { AF_INET6, encodeSocketAddress } from '../../daemon/socket-address.ts';
import { SystemRng } from '../../daemon/system-rng.ts';
import { ROUTES_MAX, UdpRouteTable } from '../../daemon/udp-route.ts';
import { BindError, type UdpListener, UdpSocket, type UdpSocketOptions } from '../../daemon/udp-socket.ts';
import { systemNow } from '../../ipc/clock.ts';
import { SeededRng } from '../../sim/rng.ts';
import type { ReceivedDatagram, TunnelEvent } from '../../transport/events.ts';
import { directRoute } from '../../transport/route.ts';
import { formatIpEndpoint, type IpEndpoint, ipEndpoint } from '../../wire/ip-endpoint.ts';
import { INITIATION_BYTES, writeInitiationHeader } from '../../wire/packet.ts';
import { encodeIdentityRecord } from '../../wire/records.ts';

const rng = new SystemRng();
const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const V4_LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const V6_LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const PORTS = { source: 50_000, destination: 7 };

/** Closed after each test, the last opened first. */
const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (let one = opened.pop(); one !== undefined; one = opened.pop()) await one.close();
});

/** A node with its driver, and all that was reported to it. */
class Node {
  readonly identity: Identity = createIdentity(opensslBackend, rng, 0);
  readonly events: TunnelEvent[] = [];
  readonly datagrams: ReceivedDatagram[] = [];
  driver!: EndpointDriver;

  static async open(options: Partial<EndpointDriverOptions> = {}): Promise<Node> {
    const node = new Node();
    const record = signIdentityRecord(node.identity, { sequence: 0, name: '', tags: [], capabilities: [], homes: [] });
    if (isRecordError(record)) throw new Error(record.reason);
    node.driver = await EndpointDriver.open({
      crypto: opensslBackend,
      identity: node.identity,
      record: encodeIdentityRecord(record),
      admit: () => true,
      listener: {
        event: (event) => node.events.push(event),
        datagram: (datagram) => node.datagrams.push(datagram),
      },
      ...options,
    });
    opened.push(node.driver);
    return node;
  }

  get key(): string {
    return toHex(this.identity.signing.publicKey);
  }

  get keys() {
    return { identityKey: this.identity.signing.publicKey, staticKey: this.identity.exchange.publicKey };
  }

  at(address: Uint8Array): IpEndpoint {
    return ipEndpoint(address, this.driver.localPort);
  }

  connect(peer: Node, remote: IpEndpoint): void {
    this.driver.use((endpoint, now) => endpoint.connect(peer.keys, [this.driver.routeTo(remote)], now));
  }

  send(peer: Node, text: string): string {
    return this.driver.use((endpoint, now) => endpoint.sendDatagram(peer.key, PORTS, ascii(text), now));
  }

  get received(): string[] {
    return this.datagrams.map(({ data }) => String.fromCharCode(...data));
  }

  has(kind: TunnelEvent['kind']): boolean {
    return this.events.some((event) => event.kind === kind);
  }
}

async function until(what: string, condition: () => boolean, milliseconds = 10_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await sleep(1);
  }
}

async function connected(address: Uint8Array): Promise<{ a: Node; b: Node }> {
  const a = await Node.open();
  const b = await Node.open();
  a.connect(b, b.at(address));
  await until('both have a tunnel', () => a.has('tunnel-up') && b.has('tunnel-up'));
  return { a, b };
}

async function plainSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  opened.push(socket);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

it('a timer for what has come due already is for no negative time', async () => {
  const { driver } = await Node.open();
  const timers = vi.spyOn(globalThis, 'setTimeout');
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  driver.use((endpoint, now) => vi.spyOn(endpoint, 'nextTimeout').mockReturnValue(instant(now - SECOND / 10)));
  await nextTurn();
  await nextTurn();
  expect(timers.mock.calls.map(([, milliseconds]) => milliseconds)).toEqual([0]);
});

describe('two nodes on real sockets', () => {
  const loopbacks = [
    ['127.0.0.1', V4_LOOPBACK, true],
    ['::1', V6_LOOPBACK, hasIpv6],
  ] as const;
  for (const [name, address, isThere] of loopbacks) {
    it.runIf(isThere)(`exchange datagrams in both directions over ${name}`, async () => {
      const { a, b } = await connected(address);
      expect([a.send(b, 'there'), b.send(a, 'back')]).toEqual(['queued', 'queued']);
      await until('both have heard', () => a.received.length > 0 && b.received.length > 0);
      expect(b.received).toEqual(['there']);
      expect(a.received).toEqual(['back']);
      expect(b.datagrams[0]).toMatchObject({ peer: a.key, sourcePort: 50_000, destinationPort: 7 });
      expect([...a.driver.errors, ...b.driver.errors]).toEqual([]);
    });
  }

  it('send before the tunnel is there', async () => {
    const a = await Node.open();
    const b = await Node.open();
    a.connect(b, b.at(V4_LOOPBACK));
    a.send(b, 'early');
    await until('it arrives', () => b.received.length > 0);
  });

  it('see an IPv4 peer as one, whatever form the socket gives its address', async () => {
    const { a, b } = await connected(V4_LOOPBACK);
    const up = b.events.find((event) => event.kind === 'tunnel-up');
    expect(up?.route.key).toBe(`0/127.0.0.1:${a.driver.localPort}`);
    expect(up?.route.source).toBe('7f000001');
    expect(up?.route).toBe(b.driver.routeTo(a.at(V4_LOOPBACK)));
  });

  it('may send more at once than a tunnel queues', async () => {
    const { a, b } = await connected(V4_LOOPBACK);
    for (let i = 0; i < 500; i++) a.send(b, `${i}`);
    await until('all arrive', () => b.received.length === 500);
    expect(b.received).toEqual(Array.from({ length: 500 }, (_, i) => `${i}`));
  });

  it('notice that a peer has closed', async () => {
    const { a, b } = await connected(V4_LOOPBACK);
    await a.driver.close();
    await until('b sees it', () => b.has('tunnel-down'));
    expect(b.events.at(-1)).toMatchObject({
      kind: 'tunnel-down',
      peer: a.key,
      reason: { kind: 'closed-by-peer', code: 9 },
    });
    expect(a.events.at(-1)).toMatchObject({ kind: 'tunnel-down', reason: { kind: 'closed', code: 'SHUTDOWN' } });
  });

  it('keep timers of their own: a peer that never answers is given up', async () => {
    const a = await Node.open({ config: { peerTimeout: SECOND / 2 } });
    const b = await Node.open();
    const silent = await plainSocket();
    const start = performance.now();
    a.connect(b, ipEndpoint(V4_LOOPBACK, silent.address().port));
    let initiations = 0;
    silent.on('message', ({ length }) => {
      if (length === INITIATION_BYTES) initiations += 1;
    });
    await until('a gives up', () => a.has('tunnel-down'));
    expect(performance.now() - start).toBeGreaterThanOrEqual(500);
    expect(a.events.at(-1)).toMatchObject({ reason: { kind: 'peer-timeout' } });
    // At once, and again after at most 250 ms.
    expect(initiations).toBe(2);
  });
});

describe('a driver survives', () => {
  it('a port where nobody listens', async () => {
    const a = await Node.open({ config: { peerTimeout: SECOND } });
    const b = await Node.open();
    const gone = b.at(V4_LOOPBACK);
    await b.driver.close();
    a.connect(b, gone);
    await until('a gives up', () => a.has('tunnel-down'));
    const c = await Node.open();
    a.connect(c, c.at(V4_LOOPBACK));
    await until('a still works', () => a.has('tunnel-up'));
  });

  it('places that nothing can be sent to, and counts what the kernel says', async () => {
    const a = await Node.open();
    const b = await Node.open();
    const nowhere = ipEndpoint(V4_LOOPBACK, 0);
    const broadcast = ipEndpoint(Uint8Array.of(255, 255, 255, 255), 4440);
    const routes = [nowhere, broadcast, b.at(V4_LOOPBACK)].map((remote) => a.driver.routeTo(remote));
    a.driver.use((endpoint, now) => endpoint.connect(b.keys, routes, now));
    await until('the third works', () => a.has('tunnel-up'));
    expect(a.driver.errors.get('EINVAL')).toBe(1);
    expect([...a.driver.errors.values()].reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(2);
  });

  it('garbage, empty and oversized datagrams, and says nothing to them', async () => {
    const { a, b } = await connected(V4_LOOPBACK);
    const before = b.driver.counts;
    const stranger = await plainSocket();
    let answers = 0;
    stranger.on('message', () => {
      answers += 1;
    });
    const garbage = new SeededRng(1);
    const forged = new Uint8Array(INITIATION_BYTES);
    garbage.fill(forged);
    writeInitiationHeader(forged, { length: INITIATION_BYTES, network: 0, senderSession: 1 });
    const inputs = [new Uint8Array(0), new Uint8Array(65_507).fill(0x13), forged];
    for (let i = 0; i < 500; i++) {
      const bytes = new Uint8Array(garbage.u32() % 1_500);
      garbage.fill(bytes);
      inputs.push(bytes);
    }
    for (const [i, bytes] of inputs.entries()) {
      stranger.send(bytes, b.driver.localPort, '127.0.0.1');
      if (i % 16 === 0) await nextTurn();
    }
    await until('all are read', () => b.driver.counts.datagramsReceived - before.datagramsReceived >= inputs.length);
    expect(b.driver.use((endpoint) => endpoint.drops.count('bad-mac1'))).toBe(1);
    expect(b.driver.use((endpoint) => endpoint.tunnels.length)).toBe(1);
    expect(answers).toBe(0);
    a.send(b, 'still here');
    await until('the tunnel lives', () => b.received.includes('still here'));
  });
});

describe('closing', () => {
  it('frees its socket', async () => {
    const { a, b } = await connected(V4_LOOPBACK);
    const { localPort } = b.driver;
    a.send(b, 'last');
    await Promise.all([a.driver.close(), b.driver.close()]);
    const again = await Node.open({ port: localPort });
    expect(again.driver.localPort).toBe(localPort);
  });

  const compiled = new URL('../../dist/', import.meta.url);
  const isCompiled = existsSync(new URL('daemon/endpoint-driver.js', compiled));

  it.runIf(isCompiled)('leaves nothing that would keep a process alive (needs `npm run build`)', async () => {
    // The tunnel has timers of its own for the next twenty seconds.
    const program = `
      import { opensslBackend as crypto } from '${new URL('crypto/openssl.js', compiled)}';
      import { createIdentity } from '${new URL('crypto/identity.js', compiled)}';
      import { signIdentityRecord } from '${new URL('crypto/records.js', compiled)}';
      import { encodeIdentityRecord } from '${new URL('wire/records.js', compiled)}';
      import { EndpointDriver } from '${new URL('daemon/endpoint-driver.js', compiled)}';
      import { SystemRng } from '${new URL('daemon/system-rng.js', compiled)}';
      const open = async (event) => {
        const identity = createIdentity(crypto, new SystemRng(), 0);
        const about = { sequence: 0, name: '', tags: [], capabilities: [], homes: [] };
        const record = encodeIdentityRecord(signIdentityRecord(identity, about));
        const listener = { event, datagram() {} };
        return { identity, driver: await EndpointDriver.open({ crypto, identity, record, admit: () => true, listener }) };
      };
      const b = await open((event) => event.kind === 'tunnel-up' && up());
      const a = await open(() => {});
      const keys = { identityKey: b.identity.signing.publicKey, staticKey: b.identity.exchange.publicKey };
      const remote = { family: 4, address: Uint8Array.of(127, 0, 0, 1), port: b.driver.localPort };
      a.driver.use((endpoint, now) => endpoint.connect(keys, [a.driver.routeTo(remote)], now));
      async function up() {
        await Promise.all([a.driver.close(), b.driver.close()]);
        console.log('closed');
      }
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    opened.push({ close: () => child.kill('SIGKILL') });
    const exit = once(child, 'exit');
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expect(line.toString()).toBe('closed\n');
    const start = performance.now();
    expect(await exit).toEqual([0, null]);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it('may be asked for twice, in a callback, and before anything else', async () => {
    const a = await Node.open();
    const b = await Node.open({
      listener: {
        event: () => void b.driver.close(),
        datagram: () => undefined,
      },
    });
    a.connect(b, b.at(V4_LOOPBACK));
    await until('a has seen both', () => a.has('tunnel-down'));
    await Promise.all([b.driver.close(), b.driver.close()]);
    const c = await Node.open();
    await c.driver.close();
    c.connect(a, a.at(V4_LOOPBACK));
    await c.driver.close();
    expect(c.driver.counts.datagramsSent).toBe(0);
  });
});

describe('a socket', () => {
  const quiet: UdpListener = { datagram: () => 1, writable: () => undefined };

  async function open(options: Partial<UdpSocketOptions> = {}): Promise<UdpSocket> {
    const socket = await UdpSocket.open({ index: 3, listener: quiet, ...options });
    opened.push(socket);
    return socket;
  }

  it('falls back to IPv4 where the system has no IPv6', async () => {
    const types: string[] = [];
    const create = (options: SocketOptions): Socket => {
      types.push(options.type);
      const socket = createSocket(options);
      if (options.type === 'udp6') {
        socket.bind = () => {
          queueMicrotask(() => socket.emit('error', Object.assign(new Error('refused'), { code: 'EAFNOSUPPORT' })));
          return socket;
        };
      }
      return socket;
    };
    const a = await Node.open({ createSocket: create });
    const b = await Node.open();
    a.connect(b, b.at(V4_LOOPBACK));
    await until('they meet', () => a.has('tunnel-up') && b.has('tunnel-up'));
    expect(types).toEqual(['udp6', 'udp4']);
  });

  it('says which port is taken, with a code and a hint', async () => {
    const first = await open({ host: '127.0.0.1' });
    const second = open({ host: '127.0.0.1', port: first.localPort });
    await expect(second).rejects.toBeInstanceOf(BindError);
    await expect(second).rejects.toMatchObject({ code: 'ERR_WARREN_UDP_PORT_IN_USE', systemCode: 'EADDRINUSE' });
  });

  it('cuts a batch into its segments', async () => {
    const receiver = await plainSocket();
    const lengths: number[] = [];
    receiver.on('message', ({ length }) => lengths.push(length));
    const socket = await open();
    const route = socket.routeTo(ipEndpoint(V4_LOOPBACK, receiver.address().port));
    expect(socket.send({ route, length: 2_500, segmentSize: 1_000 }, new Uint8Array(65_536))).toBe(3);
    await until('all arrive', () => lengths.length === 3);
    expect(lengths).toEqual([1_000, 1_000, 500]);
    expect(socket.counts).toMatchObject({ datagramsSent: 3, bytesSent: 2_500 });
  });

  it('counts a datagram that is too large and goes on', async () => {
    const receiver = await plainSocket();
    const socket = await open();
    const route = socket.routeTo(ipEndpoint(V4_LOOPBACK, receiver.address().port));
    socket.send({ route, length: 65_536, segmentSize: 65_536 }, new Uint8Array(65_536));
    await socket.drained();
    expect([...socket.errors]).toEqual([['EMSGSIZE', 1]]);
    const arrival = once(receiver, 'message');
    socket.send({ route, length: 8, segmentSize: 8 }, new Uint8Array(8));
    await arrival;
  });

  it('counts a place of the other family, where it has but one', async () => {
    const socket = await open({ host: '127.0.0.1' });
    socket.send({ route: socket.routeTo(ipEndpoint(V6_LOOPBACK, 9)), length: 8, segmentSize: 8 }, new Uint8Array(8));
    await socket.drained();
    expect([...socket.errors.values()]).toEqual([1]);
  });

  it('is busy while the kernel does not take what was sent, and then tells', async () => {
    let release: (() => void) | undefined;
    const create = (options: SocketOptions): Socket => {
      const socket = createSocket(options);
      socket.send = (...args: unknown[]) => {
        const done = args.at(-1) as (error: Error | null, bytes: number) => void;
        release = () => done(null, 8);
      };
      socket.getSendQueueCount = () => (release === undefined ? 0 : 1);
      return socket;
    };
    let writable = 0;
    const listener: UdpListener = {
      ...quiet,
      writable: () => {
        writable += 1;
      },
    };
    const socket = await open({ createSocket: create, listener });
    socket.send({ route: socket.routeTo(ipEndpoint(V4_LOOPBACK, 9)), length: 8, segmentSize: 8 }, new Uint8Array(8));
    expect(socket.isBusy).toBe(true);
    release?.();
    expect([socket.isBusy, writable]).toEqual([false, 1]);
  });

  it('drops what came from port 0, which nobody could answer, and hands plain arrays on', async () => {
    let real: Socket | undefined;
    const seen: Uint8Array[] = [];
    const socket = await open({
      createSocket: (options) => (real = createSocket(options)),
      listener: { ...quiet, datagram: (_route, bytes) => seen.push(bytes) },
    });
    const from = { address: '::ffff:127.0.0.1', family: 'IPv6', size: 4 };
    real?.emit('message', Buffer.from('none'), { ...from, port: 0 });
    real?.emit('message', Buffer.from('some'), { ...from, port: 9 });
    expect(seen).toEqual([Uint8Array.from(Buffer.from('some'))]);
    expect(Buffer.isBuffer(seen[0])).toBe(false);
    expect(socket.counts).toMatchObject({ datagramsReceived: 2, unanswerable: 1 });
  });

  it('counts an error event and stays open', async () => {
    let real: Socket | undefined;
    const socket = await open({ createSocket: (options) => (real = createSocket(options)) });
    real?.emit('error', Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
    expect([...socket.errors]).toEqual([['ECONNREFUSED', 1]]);
  });
});

describe('routes', () => {
  it('are one object for one address, named without the mapped form', () => {
    const remote = ipEndpoint(Uint8Array.of(192, 0, 2, 1), 4440);
    for (const [isDualStack, host] of [
      [true, '::ffff:192.0.2.1'],
      [false, '192.0.2.1'],
    ] as const) {
      const table = new UdpRouteTable({ socket: 0, isDualStack, carriesLarge: false });
      const { key, source } = directRoute(0, remote);
      expect(table.to(remote)).toMatchObject({ host, port: 4440, socket: 0, key, source, remote });
      expect(table.from(host, 4440)).toBe(table.to(remote));
      expect(table.from(host, 4441)).not.toBe(table.to(remote));
      expect(table.from(host, 4440)).toBe(table.to(remote));
    }
  });

  it('keep the interface of a link-local address, whatever it is called', () => {
    const table = new UdpRouteTable({ socket: 0, isDualStack: true, carriesLarge: false });
    const left = table.from('fe80::1%br_lan', 4440);
    const right = table.from('fe80::1%eth1', 4440);
    expect([left.key, right.key]).toEqual(['0/[fe80::1]:4440%br_lan', '0/[fe80::1]:4440%eth1']);
    expect(left.source).toBe('fe80000000000000');
    expect(left.host).toBe('fe80::1%br_lan');
  });

  it('ask the system once for the name of an interface, however many senders there are on it', () => {
    const asked: number[] = [];
    const zoneName = (scope: number): string => {
      asked.push(scope);
      return `%eth${scope}`;
    };
    const table = new UdpRouteTable({ socket: 0, isDualStack: true, carriesLarge: false, zoneName });
    for (let i = 0; i < 200; i++) {
      // A sockaddr_in6 of fe80::i from port 4440, by interface 3 or 4.
      const bytes = encodeSocketAddress(AF_INET6, `fe80::${i.toString(16)}`, 4440)!;
      const scope = 3 + (i % 2);
      new DataView(bytes.buffer).setUint32(24, scope, isLittleEndian);
      expect(table.ofSocketAddress(bytes)?.host).toBe(`fe80::${i === 0 ? '' : i.toString(16)}%eth${scope}`);
    }
    expect(asked).toEqual([3, 4]);
  });

  it('ask again for an interface that has no name yet', () => {
    const names = ['%3', '%eth0', '%eth0'];
    const zoneName = (): string => names.shift()!;
    const table = new UdpRouteTable({ socket: 0, isDualStack: true, carriesLarge: false, zoneName });
    const hosts = [1, 2, 3].map((i) => {
      const bytes = encodeSocketAddress(AF_INET6, `fe80::${i}`, 4440)!;
      new DataView(bytes.buffer).setUint32(24, 3, isLittleEndian);
      return table.ofSocketAddress(bytes)?.host;
    });
    expect(hosts).toEqual(['fe80::1%3', 'fe80::2%eth0', 'fe80::3%eth0']);
    expect(names).toHaveLength(1);
  });

  it('are remembered up to a limit: those used lately stay', () => {
    const table = new UdpRouteTable({ socket: 0, isDualStack: true, carriesLarge: false });
    const kept = table.from('::ffff:192.0.2.1', 1);
    const forgotten = table.from('::ffff:192.0.2.1', 2);
    for (let i = 0; i < 3 * ROUTES_MAX; i++) {
      if (i % 1_000 === 0) expect(table.from('::ffff:192.0.2.1', 1)).toBe(kept);
      table.from(`::ffff:198.51.${i >> 8}.${i & 255}`, 4440);
      expect(table.size).toBeLessThanOrEqual(2 * ROUTES_MAX);
    }
    const again = table.from('::ffff:192.0.2.1', 2);
    expect(again).not.toBe(forgotten);
    expect(again.key).toBe(forgotten.key);
  });
});

describe('address text', () => {
  const cases: [string, string][] = [
    ['192.0.2.1', 'c0000201'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::a:b', '20010db80000000000000000000a000b'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['2001:db8::', '20010db8000000000000000000000000'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
    ['fe80::1%eth_0@x', 'fe800000000000000000000000000001'],
  ];
  for (const [text, hex] of cases) {
    it(`${text} is its bytes`, () => {
      expect(toHex(parseIpAddress(text) ?? new Uint8Array())).toBe(hex);
    });
  }

  it('is read as it is written', () => {
    const random = new SeededRng(7);
    for (let i = 0; i < 1_000; i++) {
      const bytes = new Uint8Array(i % 2 === 0 ? 4 : 16);
      random.fill(bytes);
      for (let j = 0; j < bytes.length; j++) if (random.u32() % 3 === 0) bytes[j] = 0;
      const text = formatIpEndpoint(ipEndpoint(bytes, 1)).replace(/:1$/, '').replace(/[[\]]/g, '');
      expect(parseIpAddress(text)).toEqual(bytes);
    }
  });

  it('is refused where it is none', () => {
    for (const text of ['', 'localhost', '1.2.3', '::1::', '12345::', '1.2.3.4:5']) {
      expect(parseIpAddress(text)).toBeUndefined();
    }
  });
});

describe('the system clock and generator', () => {
  it('counts whole microseconds, forwards', () => {
    let last = systemNow();
    for (let i = 0; i < 10_000; i++) {
      const now = systemNow();
      expect(Number.isSafeInteger(now) && now >= last).toBe(true);
      last = now;
    }
  });

  it('fills every length, and never twice alike', () => {
    const system = new SystemRng();
    const seen = new Set<string>();
    for (let i = 0; i < 2_000; i++) {
      const bytes = new Uint8Array(16 + (i % 3_000));
      system.fill(bytes);
      seen.add(toHex(bytes.subarray(0, 16)));
      expect(bytes.subarray(-16)).not.toEqual(fromHex('00'.repeat(16)));
    }
    expect(seen.size).toBe(2_000);
  });
});
