import http from 'node:http';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DATAGRAM_BYTES_MAX } from '../../daemon/datagrams.ts';
import { PEER_TIMEOUT_MS, RECORD_TEXT_BYTES_MAX, TIMEOUT_MS } from '../../ipc/value-bounds.ts';
import {
  connect,
  createNode,
  type WarrenDatagrams,
  WarrenError,
  type WarrenNode,
  type WarrenServer,
  type WarrenStream,
} from '../../sdk/index.ts';
import { Daemon, event, type Pair, streamPair, textOf, WAYS } from './support.ts';

/** What a call fails with. Typed for nobody: these are the mistakes that a compiler would not let through. */
async function failure(call: () => unknown): Promise<WarrenError> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(WarrenError);
    return error as WarrenError;
  }
  throw new Error('nothing was wrong with that');
}

type Untyped<T> = { readonly [K in keyof T]: (...args: unknown[]) => unknown };
/** What a program has of one node. */
interface Things {
  readonly node: Untyped<WarrenNode>;
  readonly datagrams: Untyped<WarrenDatagrams>;
  readonly stream: Untyped<WarrenStream>;
  readonly pair: Pair;
}

/** The argument at fault, what is said for it, and the call. */
type Mistake = readonly [argument: string, value: string, call: (things: Things) => unknown];

/** Each value in the place of one argument. */
function each(
  argument: string,
  values: readonly unknown[],
  call: (things: Things, value: unknown) => unknown,
): Mistake[] {
  return values.map((value) => [argument, inspect(value).slice(0, 24), (things) => call(things, value)]);
}

const NO_NUMBERS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.5, -1, '80', null, 80n, true, {}];
const NO_PORTS = [...NO_NUMBERS, undefined, 65_536, 2 ** 53, [80], Symbol('80')];
const NO_PEERS = [
  '',
  'x'.repeat(129),
  'a b',
  'a\tb',
  'a\nb',
  'a\0b',
  'bób',
  '\u202ebob',
  5,
  null,
  undefined,
  {},
  ['bob'],
];
const NO_TIMEOUTS = [...NO_NUMBERS, 0, TIMEOUT_MS.most + 1, 2 ** 31, Number.MAX_VALUE];
const NO_PEER_TIMEOUTS = [...NO_NUMBERS, 0, PEER_TIMEOUT_MS.least - 1, PEER_TIMEOUT_MS.most + 1];
const NO_BACKLOGS = [...NO_NUMBERS, 0, 1_025, 65_536];
const NO_SIGNALS = [null, 'abort', 5, {}, { aborted: true }, new AbortController(), () => {}];
const NO_FLAGS = [null, 1, 'yes', {}];
const NO_BUFFERS = [...NO_NUMBERS, 2 ** 30 + 1];
const NO_OPTIONS = [null, 5, 'fast', true, () => {}];
const NO_WORDS = [null, 1, '', {}, 'constructor', '__proto__'];

const dialWith =
  (option: string) =>
  ({ node }: Things, value: unknown) =>
    node.dial('bob', 7, { [option]: value });
const listenWith =
  (option: string) =>
  ({ node }: Things, value: unknown) =>
    node.listen(0, { [option]: value });

/** What is wrong whatever the node knows. */
const MISTAKES: readonly Mistake[] = [
  ...each('port', [0, ...NO_PORTS], ({ node }, port) => node.dial('bob', port)),
  ...each('port', [0, ...NO_PORTS], ({ node }, port) => node.createConnection('bob', port)),
  ...each('port', NO_PORTS, ({ node }, port) => node.listen(port)),
  ...each('port', NO_PORTS, ({ node }, port) => node.bind(port)),
  ...each('port', NO_PORTS, ({ node }, port) => node.serve(createServer(), port)),
  ...each('peer', NO_PEERS, ({ node }, peer) => node.dial(peer, 7)),
  ...each('peer', NO_PEERS, ({ node }, peer) => node.createConnection(peer, 7)),
  ...each('peer', NO_PEERS, ({ node }, peer) => node.resolve(peer)),
  ...each('peer', NO_PEERS, ({ node }, peer) => node.ping(peer)),
  ...each('peer', NO_PEERS, ({ node }, peer) => node.why(peer)),
  ...each('peer', NO_PEERS, ({ node }, peer) => node.removePeer(peer)),
  ...each('options', NO_OPTIONS, ({ node }, options) => node.dial('bob', 7, options)),
  ...each('options', NO_OPTIONS, ({ node }, options) => node.createConnection('bob', 7, options)),
  ...each('options', NO_OPTIONS, ({ node }, options) => node.listen(0, options)),
  ...each('options', NO_OPTIONS, ({ node }, options) => node.serve(createServer(), 0, options)),
  ...each('options', NO_OPTIONS, ({ node }, options) => node.ping('bob', options)),
  ...each('timeout', NO_TIMEOUTS, dialWith('timeout')),
  ...each('timeout', NO_TIMEOUTS, ({ node }, timeout) => node.ping('bob', { timeout })),
  ...each('peerTimeout', NO_PEER_TIMEOUTS, dialWith('peerTimeout')),
  ...each('priority', [...NO_WORDS, 'urgent', 'HIGH'], dialWith('priority')),
  ...each('congestion', [...NO_WORDS, 'hope', 'BBR'], dialWith('congestion')),
  ...each('signal', NO_SIGNALS, dialWith('signal')),
  ...each('signal', NO_SIGNALS, ({ node }, signal) => node.ping('bob', { signal })),
  ...each('allowHalfOpen', NO_FLAGS, dialWith('allowHalfOpen')),
  ...each('allowHalfOpen', NO_FLAGS, listenWith('allowHalfOpen')),
  ...each('highWaterMark', NO_BUFFERS, dialWith('highWaterMark')),
  ...each('highWaterMark', NO_BUFFERS, listenWith('highWaterMark')),
  ...each('backlog', NO_BACKLOGS, listenWith('backlog')),
  ...each('server', [null, undefined, 5, {}, { emit: true }], ({ node }, server) => node.serve(server, 0)),
  ...each('peer', [null, undefined, 'record', 5], ({ node }, peer) => node.addPeer(peer)),
  ...each('peer.record', [undefined, null, 5, '', 'x'.repeat(RECORD_TEXT_BYTES_MAX + 1)], ({ node }, record) =>
    node.addPeer({ record }),
  ),
  ...each('peer.petname', [null, 5, '', 'Not A Name', 'x'.repeat(64)], ({ node }, petname) =>
    node.addPeer({ record: 'x', petname }),
  ),
  ...each(
    'peer.endpoints',
    [null, 'a:1', [5], [''], ['x'.repeat(300)], Array.from({ length: 9 }, () => '127.0.0.1:1')],
    ({ node }, endpoints) => node.addPeer({ record: 'x', endpoints }),
  ),
  ...each('peer', NO_PEERS, ({ datagrams }, peer) => datagrams.send(peer, 5, Buffer.from('x'))),
  ...each('port', [0, ...NO_PORTS], ({ datagrams }, port) => datagrams.send('bob', port, Buffer.from('x'))),
  ...each('data', ['text', null, undefined, 5, [1, 2], new ArrayBuffer(4), new Uint16Array(4), {}], (things, data) =>
    things.datagrams.send('bob', 5, data),
  ),
  ...each('milliseconds', ['5', null, Number.NaN, -1, Number.POSITIVE_INFINITY], ({ stream }, span) =>
    stream.setTimeout(span),
  ),
  ...each('callback', [null, 'later', {}], ({ stream }, callback) => stream.setTimeout(5, callback)),
  ...each('code', [null, '256', Number.NaN, 0, 13, 255, 256.5, -1, 2 ** 53], ({ stream }, code) =>
    stream.resetAndDestroy(code),
  ),
];

/** What is no option is not ignored, and the one it resembles is named. */
const SLIPS: readonly (readonly [given: string, meant: string, call: (things: Things) => unknown])[] = [
  ['timout', 'timeout', ({ node }) => node.dial('bob', 7, { timout: 5 })],
  ['peer-timeout', 'peerTimeout', ({ node }) => node.createConnection('bob', 7, { 'peer-timeout': 5_000 })],
  ['timeOut', 'timeout', ({ node }) => node.ping('bob', { timeOut: 5 })],
  ['bcklog', 'backlog', ({ node }) => node.listen(0, { bcklog: 5 })],
  ['allowHalfopen', 'allowHalfOpen', ({ node }) => node.serve(createServer(), 0, { allowHalfopen: true })],
  ['peer.endpoint', 'peer.endpoints', ({ node }) => node.addPeer({ record: 'x', endpoint: [] })],
  ['toString', 'timeout, signal', ({ node }) => node.ping('bob', { toString: () => '' })],
  ['\\u{202e}x', 'timeout, signal', ({ node }) => node.ping('bob', { '\u202ex': 1 })],
];

function sendOf(length: number): (things: Things) => unknown {
  return ({ datagrams }) => datagrams.send('bob', 5, new Uint8Array(length));
}

/** What only the node can say, and says either way. */
const REFUSALS: readonly (readonly [code: string, call: (things: Things) => unknown])[] = [
  ['ERR_WARREN_UNKNOWN_PEER', ({ node }) => node.dial('nobody', 7)],
  ['ERR_WARREN_UNKNOWN_PEER', ({ node }) => node.dial('1:0001.0000.0001', 7)],
  ['ERR_WARREN_UNKNOWN_PEER', ({ node }) => node.dial('bob:80', 7)],
  ['ERR_WARREN_UNKNOWN_PEER', ({ node }) => node.dial('x'.repeat(128), 7)],
  ['ERR_WARREN_UNKNOWN_PEER', ({ node }) => node.resolve('__proto__')],
  ['ERR_WARREN_UNKNOWN_PEER', ({ node }) => node.ping('nobody')],
  ['ERR_WARREN_UNKNOWN_PEER', ({ node }) => node.why('nobody')],
  ['ERR_WARREN_UNKNOWN_PEER', ({ node }) => node.removePeer('nobody')],
  ['ERR_WARREN_REFUSED', ({ node }) => node.dial('bob', 4_000)],
  ['ERR_WARREN_REFUSED', ({ node }) => node.dial('alice', 4_000)],
  ['ERR_WARREN_PORT_TAKEN', ({ node }) => node.listen(7)],
  ['ERR_WARREN_PORT_TAKEN', ({ node }) => node.serve(createServer(), 7)],
  ['ERR_WARREN_UNKNOWN_PEER', ({ datagrams }) => datagrams.send('nobody', 5, Buffer.from('x'))],
  ['ERR_WARREN_DATAGRAM_TOO_LARGE', sendOf(DATAGRAM_BYTES_MAX + 1)],
  ['ERR_WARREN_DATAGRAM_TOO_LARGE', sendOf(16_001)],
  ['ERR_WARREN_DATAGRAM_TOO_LARGE', sendOf(70_000)],
  ['ERR_WARREN_RECORD', ({ node }) => node.addPeer({ record: 'not a record' })],
  [
    'ERR_WARREN_ENDPOINT',
    async ({ node, pair: { bob } }) => node.addPeer({ record: await bob.record(), endpoints: ['nowhere'] }),
  ],
  [
    'ERR_WARREN_TIMEOUT',
    async ({ node, pair: { bob } }) => {
      const server = await bob.listen(4_001);
      try {
        await node.dial('bob', 4_001, { timeout: 30 });
      } finally {
        await server.close();
      }
    },
  ],
];

describe('what a program asks for', () => {
  const ways: Things[] = [];
  beforeAll(async () => {
    for (const { open } of WAYS) {
      const pair = await open();
      const { near, far } = await streamPair(pair);
      far.on('error', () => {});
      const datagrams = await pair.alice.bind(0);
      ways.push({ node: pair.alice, datagrams, stream: near, pair } as unknown as Things);
    }
  });
  afterAll(async () => {
    for (const { pair } of ways) await pair.close();
  });

  const failures = (call: (things: Things) => unknown): Promise<WarrenError[]> =>
    Promise.all(ways.map((things) => failure(() => call(things))));
  const shown = ({ code, message, hint }: WarrenError): object => ({ code, message, hint });

  it.each(MISTAKES)('is refused by name where %s is %s', async (argument, _value, call) => {
    const [embedded, daemon] = await failures(call);
    expect(embedded!.code).toBe('ERR_WARREN_ARGUMENT');
    expect(embedded!.message).toMatch(new RegExp(`^[a-zA-Z]+: ${argument} is `));
    expect(embedded!.hint).toMatch(new RegExp(`^${argument} has to be `));
    expect(shown(daemon!)).toEqual(shown(embedded!));
  });

  it.each(SLIPS)('is refused by name where there is no %s', async (given, meant, call) => {
    const [embedded, daemon] = await failures(call);
    expect(embedded!.code).toBe('ERR_WARREN_ARGUMENT');
    expect(embedded!.message).toContain(`there is no "${given}"`);
    expect(embedded!.hint).toContain(meant);
    expect(shown(daemon!)).toEqual(shown(embedded!));
  });

  it.each(REFUSALS)('is refused by the node with %s', async (code, call) => {
    for (const error of await failures(call)) expect(error.code).toBe(code);
  });

  it('does not repeat a text, which may be a secret or a thousand pages', async () => {
    const secret = 'secret '.repeat(50_000);
    for (const error of await failures(({ node }) => node.resolve(secret))) {
      expect(error.message).toBe('resolve: peer is a text of length 350000');
      expect(error.message + error.hint).not.toContain('secret');
    }
  });

  it('may go to the very limits', async () => {
    for (const { pair } of ways) {
      const { alice, bob } = pair;
      const last = await bob.listen(65_535, { backlog: 1_024, highWaterMark: 0, allowHalfOpen: false });
      last.on('connection', (stream) => stream.end('there'));
      for (const timeout of [TIMEOUT_MS.least + 5_000, TIMEOUT_MS.most]) {
        const { least, most } = PEER_TIMEOUT_MS;
        for (const peerTimeout of [least, most]) {
          const options = { timeout, peerTimeout, highWaterMark: 0, congestion: 'bbr', priority: 'low' } as const;
          expect(await textOf(await alice.dial('bob', 65_535, options))).toBe('there');
        }
        await alice.ping('bob', { timeout, signal: undefined });
      }
      await last.close();
      const port = await bob.bind(65_535);
      await (await alice.bind(0)).send('bob', 65_535, new Uint8Array(DATAGRAM_BYTES_MAX));
      const [message] = await event(port, 'message');
      expect((message as { readonly data: Uint8Array }).data).toHaveLength(DATAGRAM_BYTES_MAX);
      await port.close();
    }
  });

  it('is not begun where its signal has said so already', async () => {
    const reason = new Error('never mind');
    const signal = AbortSignal.abort(reason);
    for (const { pair } of ways) {
      const { alice } = pair;
      // Whether there is a peer of that name is not asked any more.
      for (const peer of ['bob', 'nobody']) {
        const connectionFailed = event(alice.createConnection(peer, 7, { signal }), 'error');
        const errors = [
          await failure(() => alice.dial(peer, 7, { signal })),
          await failure(() => alice.ping(peer, { signal })),
          (await connectionFailed)[0],
        ];
        for (const error of errors) expect(error).toMatchObject({ code: 'ERR_WARREN_CANCELLED', cause: reason });
      }
    }
  });

  it('ends a ping where its signal says so, and with its reason', async () => {
    for (const { pair } of ways) {
      const reason = new Error('enough');
      const controller = new AbortController();
      const pinging = failure(() => pair.alice.ping('bob', { signal: controller.signal }));
      controller.abort(reason);
      expect(await pinging).toMatchObject({ code: 'ERR_WARREN_CANCELLED', cause: reason });
    }
  });

  it('takes the signals of other libraries', async () => {
    const { signal } = new AbortController();
    const other = {
      aborted: false,
      reason: undefined,
      addEventListener: signal.addEventListener.bind(signal),
      removeEventListener: signal.removeEventListener.bind(signal),
    } as unknown as AbortSignal;
    for (const { pair } of ways) await pair.alice.ping('bob', { signal: other });
  });

  it('of an HTTP client is an error of its request, not of the program', async () => {
    for (const { pair } of ways) {
      // Of one socket at a time: the second request is dialled when the first has failed, in a turn of Node's own.
      const agent = pair.alice.agent({ maxTotalSockets: 1 });
      const asked = ['a b', 'bob'].map((host) => event(http.get({ agent, host, port: 70_000 }), 'error'));
      for (const [error] of await Promise.all(asked)) expect(error).toMatchObject({ code: 'ERR_WARREN_ARGUMENT' });
      agent.destroy();
      const dispatcher = pair.alice.dispatcher();
      const fetched = await fetch(`http://${'x'.repeat(200)}/`, { dispatcher }).catch((error) => error);
      expect(fetched.cause).toMatchObject({ code: 'ERR_WARREN_ARGUMENT' });
      await dispatcher.destroy();
    }
  });
});

/** Everything that can be asked of a node, and of a port of it. */
const CALLS: readonly (readonly [name: string, call: (things: Things) => unknown])[] = [
  ['dial', ({ node }) => node.dial('bob', 7)],
  ['dial of itself', ({ node }) => node.dial('alice', 7)],
  ['createConnection', async ({ pair }) => rejected((await event(pair.alice.createConnection('bob', 7), 'error'))[0])],
  ['listen', ({ node }) => node.listen(0)],
  ['serve', ({ node }) => node.serve(createServer(), 0)],
  ['bind', ({ node }) => node.bind(0)],
  ['send', ({ datagrams }) => datagrams.send('bob', 5, Buffer.from('x'))],
  ['resolve', ({ node }) => node.resolve('bob')],
  ['ping', ({ node }) => node.ping('bob')],
  ['ping of itself', ({ node }) => node.ping('alice')],
  ['status', ({ node }) => node.status()],
  ['peers', ({ node }) => node.peers()],
  ['why', ({ node }) => node.why('bob')],
  ['record', ({ node }) => node.record()],
  ['addPeer', ({ node }) => node.addPeer({ record: 'x' })],
  ['removePeer', ({ node }) => node.removePeer('bob')],
  ['fetch', async ({ pair }) => rejected((await fetchThrough(pair.alice)).cause)],
];

function rejected(error: unknown): Promise<never> {
  return Promise.reject(error);
}

function fetchThrough(node: WarrenNode): Promise<Error> {
  return fetch('http://bob/', { dispatcher: node.dispatcher() }).then(
    () => expect.unreachable(),
    (error) => error,
  );
}

describe.each(WAYS)('a closed node $way', ({ open }) => {
  let things: Things;
  let servers: readonly (WarrenServer | WarrenDatagrams)[];
  beforeAll(async () => {
    const pair = await open();
    const [server, datagrams] = [await pair.alice.listen(80), await pair.alice.bind(53)];
    servers = [server, datagrams];
    const { near, far } = await streamPair(pair);
    far.on('error', () => {});
    things = { node: pair.alice, datagrams, stream: near, pair } as unknown as Things;
    await pair.alice.close();
  });
  afterAll(() => things.pair.close());

  it.each(CALLS)('says so: %s', async (_name, call) => {
    expect((await failure(() => call(things))).code).toBe('ERR_WARREN_CLOSED');
  });

  it('still says what is wrong with an argument', async () => {
    expect((await failure(() => things.node.listen(-1))).code).toBe('ERR_WARREN_ARGUMENT');
  });

  it('has closed everything, which may be closed again', async () => {
    for (const server of servers) await server.close();
    expect(things.pair.alice.address).toMatch(/^0:0000\./);
    await things.pair.alice.close();
  });
});

describe.each(WAYS)('closing a node $way', ({ open }) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await open();
  });
  afterAll(() => pair.close());

  it('is the answer to everything that was still under way', async () => {
    const { alice, bob } = pair;
    const waiting = await bob.listen(4_000);
    const asked = [
      failure(() => alice.dial('bob', 4_000)),
      failure(() => alice.ping('bob')),
      failure(() => alice.listen(81)),
      failure(() => alice.bind(54)),
    ];
    await alice.close();
    for (const error of await Promise.all(asked)) expect(error.code).toBe('ERR_WARREN_CLOSED');
    await waiting.close();
  });
});

describe.each(WAYS)('a closed port of a node $way', ({ open }) => {
  it('sends nothing more, and says so', async () => {
    const pair = await open();
    const datagrams = await pair.alice.bind(0);
    await datagrams.close();
    const error = await failure(() => datagrams.send('bob', 5, Buffer.from('x')));
    expect(error).toMatchObject({ code: 'ERR_WARREN_CLOSED', message: 'this port was closed' });
    await pair.close();
  });
});

describe('a lost daemon', () => {
  it('is what everything fails with', async () => {
    const daemon = await Daemon.start('alice');
    const alice = await daemon.connect();
    const things = { node: alice, datagrams: await alice.bind(0), pair: { alice } } as unknown as Things;
    const closed = event(alice, 'close');
    await daemon.stop();
    await closed;
    for (const [name, call] of CALLS) {
      const error = await failure(() => call(things));
      expect([name, error.code]).toEqual([name, 'ERR_WARREN_DAEMON_STOPPED']);
    }
    await alice.close();
  });
});

describe('what a node is to be', () => {
  const created = (options: unknown): Promise<WarrenError> => failure(() => createNode(options as never));
  const connected = (options: unknown): Promise<WarrenError> => failure(() => connect(options as never));

  it.each([
    ['options', null],
    ['options', 'alice'],
    ['name', { name: 'Not A Name' }],
    ['name', { name: 5 }],
    ['name', { name: 'x'.repeat(64) }],
    ['listen', { listen: 'nowhere' }],
    ['listen', { listen: 4_440 }],
    ['listen', { listen: '127.0.0.1:65536' }],
    ['state', { state: '' }],
    ['state', { state: 5 }],
    ['state', { state: 'a\0b' }],
    ['passphrase', { state: '/nowhere', passphrase: '' }],
    ['passphrase', { state: '/nowhere', passphrase: 5 }],
    ['passphrase', { state: '/nowhere', passphrase: 'x'.repeat(1_025) }],
    ['mtu', { mtu: 1_199 }],
    ['mtu', { mtu: 65_508 }],
    ['mtu', { mtu: 1_200.5 }],
    ['offload', { offload: 'off' }],
    ['passphraseFile', { state: '/nowhere', passphraseFile: '' }],
    ['peers', { peers: 'bob' }],
    ['peers[1]', { peers: [{ record: 'x' }, null] }],
    ['peers[0].record', { peers: [{}] }],
    ['peers[0].petname', { peers: [{ record: 'x', petname: 'Not A Name' }] }],
  ])('is refused where %s is %o', async (argument, options) => {
    const error = await created(options);
    expect(error.code).toBe('ERR_WARREN_ARGUMENT');
    expect(error.message.startsWith(`createNode: ${argument} is `)).toBe(true);
    expect(error.hint.startsWith(`${argument} has to be `)).toBe(true);
  });

  it.each([
    ['lisen', 'listen', { lisen: '127.0.0.1:0' }],
    ['port', 'what there is: ', { port: 4_440 }],
    ['passphrase-file', 'passphraseFile', { state: '/nowhere', 'passphrase-file': 'x' }],
    ['peers[0].name', 'what there is: record', { peers: [{ record: 'x', name: 'bob' }] }],
  ])('is refused where there is no %s', async (given, meant, options) => {
    const error = await created(options);
    expect(error).toMatchObject({ code: 'ERR_WARREN_ARGUMENT', message: `createNode: there is no "${given}"` });
    expect(error.hint).toContain(meant);
  });

  it('is refused where a passphrase has nothing to seal, or another beside it', async () => {
    for (const options of [
      { passphrase: 'x' },
      { passphraseFile: '/nowhere' },
      { state: '/nowhere', passphrase: 'x', passphraseFile: '/nowhere' },
    ]) {
      const error = await created(options);
      expect(error.code).toBe('ERR_WARREN_ARGUMENT');
      expect(error.hint).toMatch(/passphrase/);
    }
  });

  it.each([
    ['options', null],
    ['socket', { socket: '' }],
    ['socket', { socket: 5 }],
    ['socket', { socket: 'a\0b' }],
    ['admin', { admin: 'yes' }],
    ['signal', { signal: new AbortController() }],
  ])('is refused of a daemon where %s is %o', async (argument, options) => {
    const error = await connected(options);
    expect(error.code).toBe('ERR_WARREN_ARGUMENT');
    expect(error.message.startsWith(`connect: ${argument} is `)).toBe(true);
  });

  it('is refused of a daemon where there is no such option', async () => {
    expect(await connected({ sockt: '/nowhere' })).toMatchObject({
      code: 'ERR_WARREN_ARGUMENT',
      hint: 'did you mean socket?',
    });
  });

  it('is not looked for where its signal has said so', async () => {
    const reason = new Error('never mind');
    const error = await connected({ socket: '/nowhere', signal: AbortSignal.abort(reason) });
    expect(error).toMatchObject({ code: 'ERR_WARREN_CANCELLED', cause: reason });
  });
});
