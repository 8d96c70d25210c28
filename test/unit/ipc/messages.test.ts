import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WarrenError } from '../../../base/errors.ts';
import type { NodeStatus } from '../../../ipc/host.ts';
import {
  decodeClientMessage,
  decodeReply,
  decodeServerMessage,
  encodeEvent,
  encodeRefusal,
  encodeReply,
  encodeRequest,
  type Request,
  type ServerEvent,
} from '../../../ipc/messages.ts';
import { Invalid } from '../../../ipc/shape.ts';
import { CONTROL_BYTES_MAX, type ControlMap, type ControlValue, encodeControl } from '../../../wire/cbor.ts';

const SEED = 20_260_803;

const port = fc.integer({ min: 1, max: 65_535 });
const anyPort = fc.integer({ min: 0, max: 65_535 });
const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const code = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const word = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme-ascii' });
const name = fc.string({ maxLength: 30, unit: 'grapheme-ascii' });
const data = fc.uint8Array({ maxLength: 16_000 });

const requests: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ do: fc.constant('hello' as const), version: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: fc.constantFrom('status' as const, 'peers' as const, 'record' as const, 'shutdown' as const) }),
  fc.record({ do: fc.constantFrom('resolve' as const, 'why' as const, 'remove-peer' as const), peer: word }),
  fc.record({ do: fc.constant('ping' as const), peer: word, timeoutMs: fc.integer({ min: 1, max: 1e6 }) }),
  fc.record({ do: fc.constant('cancel' as const), request: id }),
  fc.record({ do: fc.constant('listen' as const), port: anyPort, backlog: fc.option(port, { nil: undefined }) }),
  fc.record({ do: fc.constantFrom('unlisten' as const, 'unbind' as const), port }),
  fc.record({ do: fc.constant('refuse' as const), token: word }),
  fc.record({ do: fc.constant('bind' as const), port: anyPort }),
  fc.record({ do: fc.constant('send' as const), from: port, peer: word, port, data }),
  fc.record({ do: fc.constant('finish' as const), stream: id }),
  fc.record({ do: fc.constant('reset' as const), stream: id, code }),
  fc.record({
    do: fc.constant('add-peer' as const),
    record: word,
    endpoints: fc.array(word, { maxLength: 8 }),
    petname: fc.option(word, { nil: undefined }),
  }),
);

const peer = fc.record({ address: name, name, key: name });
const events: fc.Arbitrary<ServerEvent> = fc.oneof(
  fc.record({
    event: fc.constant('incoming' as const),
    port,
    token: word,
    peer,
    remotePort: anyPort,
    priority: fc.constantFrom(0 as const, 1 as const, 2 as const),
  }),
  fc.record({ event: fc.constant('gone' as const), token: word }),
  fc.record({ event: fc.constant('datagram' as const), port, peer, from: anyPort, data }),
  fc.record({
    event: fc.constant('end' as const),
    stream: id,
    how: fc.constantFrom('fin' as const, 'acknowledged' as const, 'closed' as const),
  }),
  fc.record({
    event: fc.constant('end' as const),
    stream: id,
    how: fc.constantFrom('reset' as const, 'stopped' as const),
    code,
  }),
);

function encode(map: Readonly<Record<string, ControlValue>>): Uint8Array {
  return encodeControl(new Map(Object.entries(map)));
}

describe('requests', () => {
  it('are read as they were written, with and without an id', () => {
    fc.assert(
      fc.property(fc.option(id, { nil: undefined }), requests, (number, request) => {
        const body = encodeRequest(number, request) as Uint8Array;
        expect(decodeClientMessage(body)).toEqual({ kind: 'request', id: number, request });
      }),
      { seed: SEED },
    );
  });

  it('that break a bound are neither written nor read', () => {
    const wrong: [Request, string][] = [
      [{ do: 'listen', port: -1 }, 'port has to be a whole number from 0 to 65535'],
      [{ do: 'listen', port: 1.5 }, 'port has to be a whole number from 0 to 65535'],
      [{ do: 'listen', port: 1, backlog: 0 }, 'backlog has to be a whole number from 1 to 65535'],
      [{ do: 'unlisten', port: 0 }, 'port has to be a whole number from 1 to 65535'],
      [{ do: 'resolve', peer: 'ü'.repeat(65) }, 'peer has to be a text of 1 to 128 bytes'],
      [{ do: 'cancel', request: 0 }, 'request has to be a whole number from 1 to 9007199254740991'],
      [{ do: 'add-peer', record: 'r', endpoints: ['a', ''] }, 'endpoints.1 has to be a text of 1 to 259 bytes'],
      [{ do: 'ping', peer: 'a', timeoutMs: 86_400_001 }, 'timeoutMs has to be a whole number from 1 to 86400000'],
      [{ do: 'send', from: 1, peer: 'a', port: 1, data: new Uint8Array(16_001) }, 'data has to be at most 16000 bytes'],
    ];
    for (const [request, message] of wrong) {
      expect((encodeRequest(1, request) as Invalid).message).toBe(message);
      if ('port' in request && request.port === 1.5) continue;
      if (request.do === 'send') continue;
      const { endpoints, ...rest } = request as unknown as Record<string, ControlValue>;
      const body = encode(endpoints === undefined ? { id: 1, ...rest } : { id: 1, ...rest, endpoints });
      expect(decodeClientMessage(body)).toMatchObject({
        kind: 'misuse',
        id: 1,
        error: { code: 'ERR_WARREN_ARGUMENT', message: `${request.do}: ${message}` },
      });
    }
  });

  it('as long as their bounds allow fit into a message', () => {
    const longest: Request[] = [
      {
        do: 'add-peer',
        record: 'r'.repeat(1_024),
        endpoints: Array(8).fill('e'.repeat(259)),
        petname: 'p'.repeat(128),
      },
      { do: 'send', from: 65_535, peer: 'p'.repeat(128), port: 65_535, data: new Uint8Array(16_000) },
    ];
    for (const request of longest) {
      const body = encodeRequest(Number.MAX_SAFE_INTEGER, request);
      expect(body).not.toBeInstanceOf(Invalid);
      expect((body as Uint8Array).length).toBeLessThanOrEqual(CONTROL_BYTES_MAX);
    }
  });

  it('that are none are told from those that are only unknown', () => {
    expect(decodeClientMessage(Uint8Array.of(0xff))).toEqual({ kind: 'unreadable', reason: 'forbidden-item' });
    expect(decodeClientMessage(Uint8Array.of(0x80))).toEqual({ kind: 'unreadable', reason: 'not-a-map' });
    expect(decodeClientMessage(encode({ id: 0, do: 'peers' }))).toEqual({ kind: 'unreadable', reason: 'bad-id' });
    for (const word of ['constructor', 'toString', '__proto__', 7, null]) {
      const read = decodeClientMessage(encode({ id: 3, do: word }));
      expect(read).toMatchObject({ kind: 'misuse', id: 3, error: { code: 'ERR_WARREN_UNKNOWN_COMMAND' } });
    }
  });

  it('hold only the keys that are known', () => {
    const body = encode({ id: 3, do: 'resolve', peer: 'bob', more: 1, ['__proto__']: new Map([['polluted', 1]]) });
    const read = decodeClientMessage(body) as { request: object };
    expect(Object.keys(read.request)).toEqual(['do', 'peer']);
    expect((read.request as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe('events', () => {
  it('are read as they were written, and fit into a message', () => {
    fc.assert(
      fc.property(events, (event) => {
        const body = encodeEvent(event);
        expect(body.length).toBeLessThanOrEqual(CONTROL_BYTES_MAX);
        expect(decodeServerMessage(body)).toEqual({ kind: 'event', event });
      }),
      { seed: SEED },
    );
  });

  it('carry errors with code, message and hint, cut where they are endless', () => {
    const error = new WarrenError('ERR_WARREN_PEER_TIMEOUT', 'the peer is gone', 'try again');
    expect(decodeServerMessage(encodeEvent({ event: 'error', error }))).toEqual({
      kind: 'event',
      event: { event: 'error', error },
    });
    const endless = new WarrenError('ERR_WARREN_PEER_TIMEOUT', 'ü'.repeat(50_000), 'y'.repeat(50_000));
    const read = decodeServerMessage(encodeEvent({ event: 'end', stream: 1, how: 'closed', error: endless }));
    expect(read).toMatchObject({ event: { error: { message: 'ü'.repeat(500), hint: 'y'.repeat(1_000) } } });
  });
});

describe('replies', () => {
  const status = (tunnels: number, ports: number): NodeStatus => ({
    address: '0:0000.7F3A.19C2',
    name: 'alice',
    key: 'a'.repeat(64),
    version: '0.1.0',
    pid: 1,
    uptime: 2,
    udp: { host: '::', port: 4440, cutsBatches: true, joinsPackets: true, searchesMtu: true },
    crypto: 'openssl',
    listening: Array.from({ length: ports }, (_, i) => i),
    tunnels: Array.from({ length: tunnels }, (_, i) => ({
      address: '0:0000.7F3A.19C2',
      name: `peer-${i}`,
      key: 'b'.repeat(64),
      state: 'open',
      route: '192.0.2.1:4440',
      roundTrip: i,
      congestion: 'aimd',
      window: 1,
      mtu: 1_452,
      packetsSent: 100,
      packetsLost: 2,
      packetsLate: 1,
      streams: 0,
    })),
    streams: 0,
    peers: 0,
    traffic: { bytesIn: 1, bytesOut: 2, packetsIn: 3, packetsOut: 4 },
    drops: Object.fromEntries([
      ['bad-mac', 1],
      ['__proto__', 2],
      ['constructor', 3],
    ]),
    socketErrors: {},
  });

  const parts = (bodies: readonly Uint8Array[]): ControlMap[] =>
    bodies.map((body, i) => {
      const read = decodeServerMessage(body);
      expect(read).toMatchObject({ kind: 'reply', re: 7, more: i < bodies.length - 1 });
      return (read as { part: ControlMap }).part;
    });

  it.each([
    [0, 0],
    [1, 1],
    [40, 3_000],
    [1_024, 65_536],
  ])('with %i and %i items arrive whole, in as many messages as it takes', (tunnels, ports) => {
    const whole = status(tunnels, ports);
    const bodies = [...encodeReply(7, 'status', whole)];
    for (const body of bodies) expect(body.length).toBeLessThanOrEqual(CONTROL_BYTES_MAX);
    const read = decodeReply('status', parts(bodies))!;
    expect(read).toEqual(whole);
    expect(Object.keys(read.drops)).toEqual(Object.keys(whole.drops));
    expect(Object.getPrototypeOf(read.drops)).toBe(Object.prototype);
  });

  it('survive what a node should not tell: fractions, endless texts, too many reasons', () => {
    const odd: NodeStatus = {
      ...status(1, 0),
      name: '\ufeffü'.repeat(1_000),
      uptime: 12.9,
      pid: Number.NaN,
      streams: -1,
      drops: Object.fromEntries(
        Array.from({ length: 5_000 }, (_, i) => [`${'r'.repeat(60)}${i}`, Number.POSITIVE_INFINITY]),
      ),
    };
    const read = decodeReply('status', parts([...encodeReply(7, 'status', odd)]))!;
    expect(read).toMatchObject({ uptime: 12, pid: 0, streams: 0 });
    expect(Object.values(read.drops)).toEqual([Number.MAX_SAFE_INTEGER]);
    expect(Buffer.byteLength(read.name)).toBeLessThanOrEqual(128);
  });

  it('with the longest items that there may be still fit', () => {
    const longest = { address: 'a'.repeat(200), name: 'n'.repeat(200), key: 'k'.repeat(200) };
    const peers = Array.from({ length: 20 }, () => ({
      ...longest,
      callsItself: 'n'.repeat(200),
      endpoints: Array<string>(100).fill('e'.repeat(1_000)),
      connected: true,
    }));
    const bodies = [...encodeReply(Number.MAX_SAFE_INTEGER, 'peers', { peers })];
    expect(bodies.length).toBeGreaterThan(1);
    for (const body of bodies) expect(body.length).toBeLessThanOrEqual(CONTROL_BYTES_MAX);
  });

  it('that are refusals carry the error, and anything else is unreadable', () => {
    const error = new WarrenError('ERR_WARREN_LIMIT', 'too many', 'fewer');
    expect(decodeServerMessage(encodeRefusal(3, error))).toEqual({ kind: 'refusal', re: 3, error });
    for (const bad of [
      { re: 3 },
      { re: 3, ok: false },
      { re: 3, ok: 1 },
      { re: 0, ok: true },
      { ok: true },
      { re: 3, ok: false, error: new Map([['code', 'EPERM']]) },
      { event: 'end', stream: 1, how: 'somehow' },
      { event: 'incoming' },
    ]) {
      expect(decodeServerMessage(encode(bad as never))).toMatchObject({ kind: 'unreadable' });
    }
    expect(decodeServerMessage(encode({ event: 'news' }))).toEqual({ kind: 'unknown-event' });
    expect(decodeReply('listen', [new Map([['port', 0]])])).toBeUndefined();
    expect(decodeReply('peers', [new Map([['peers', [1]]]) as never])).toBeUndefined();
  });
});
