import { ascii, concat } from '../../base/bytes.ts';
import { WarrenError } from '../../base/errors.ts';
import { decodeStreamAnswer, decodeStreamLine, encodeStreamAnswer, encodeStreamLine } from '../../ipc/first-line.ts';
import { FrameReader, frameMessage } from '../../ipc/framing.ts';
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
} from '../../ipc/messages.ts';
import { Invalid } from '../../ipc/shape.ts';
import { decodeUtf8, encodeUtf8 } from '../../wire/utf8.ts';
import { ACCEPTED, FuzzFailure, type FuzzTarget, mustRewrite } from '../target.ts';

const peer = { address: '0:0000.7F3A.19C2', name: 'alice', key: 'ab'.repeat(32) };
const error = new WarrenError('ERR_WARREN_REFUSED', 'nobody listens', 'start it');

/** What the local socket has besides frames can be said in more than one way: it is the meaning that must stay. */
function mustMeanTheSame(one: unknown, other: unknown): void {
  const [a, b] = [JSON.stringify(one), JSON.stringify(other)];
  if (a !== b) throw new FuzzFailure(`${a} was written and read as ${b}`);
}

function messagesIn(chunks: readonly Uint8Array[]): { messages: Uint8Array[]; fault: string | undefined } {
  const reader = new FrameReader();
  const messages: Uint8Array[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      if (typeof next === 'string') return { messages, fault: next };
      messages.push(next.slice());
    }
  }
  return { messages, fault: reader.isPartial ? 'truncated' : undefined };
}

/** The first byte says where the rest is cut in two. */
export const IPC_FRAMES: FuzzTarget = {
  name: 'ipc-frames',
  corpus: () =>
    [[1], [3, 200], [1, 1, 1, 1], [300, 2], [16_384, 5]].map((lengths, cut) => {
      const frames = lengths.map((length) => frameMessage(new Uint8Array(length).fill(length)));
      return concat(Uint8Array.of(40 * cut), ...frames);
    }),
  check(input) {
    const bytes = input.subarray(1);
    const cut = Math.min(input[0] ?? 0, bytes.length);
    const whole = messagesIn([bytes]);
    const halves = messagesIn([bytes.subarray(0, cut), bytes.subarray(cut)]);
    mustMeanTheSame(whole.fault, halves.fault);
    const read = concat(...whole.messages.map(frameMessage));
    mustRewrite(read, concat(...halves.messages.map(frameMessage)));
    if (whole.fault !== undefined) return whole.fault;
    mustRewrite(bytes, read);
    return ACCEPTED;
  },
};

export const IPC_LINE: FuzzTarget = {
  name: 'ipc-line',
  corpus: () =>
    [
      'dial alice:80',
      'dial 0:0000.7F3A.19C2:65535 client=0123456789abcdef id=9007199254740991',
      'dial bob:1 priority=high timeout=86400000 congestion=bbr peer-timeout=1000',
      'accept 0123456789abcdef client=0123456789abcdef id=1',
    ].map(ascii),
  check(input) {
    const text = decodeUtf8(input);
    if (text === undefined) return 'not-utf8';
    const line = decodeStreamLine(text);
    if (line.kind === 'line-error') return line.message;
    const written = encodeStreamLine(line);
    if (typeof written !== 'string') throw new FuzzFailure(`read, and not to be written: ${written.message}`);
    mustMeanTheSame(line, decodeStreamLine(written.slice(0, -1)));
    return ACCEPTED;
  },
};

export const IPC_ANSWER: FuzzTarget = {
  name: 'ipc-answer',
  corpus: () =>
    [
      encodeStreamAnswer({ ok: true, peer, localPort: 49_152, remotePort: 80 }),
      encodeStreamAnswer({ ok: true, id: 7, peer, localPort: 1, remotePort: 65_535 }),
      encodeStreamAnswer({ ok: false, error }),
    ].map(encodeUtf8),
  check(input) {
    const text = decodeUtf8(input);
    if (text === undefined) return 'not-utf8';
    const answer = decodeStreamAnswer(text);
    if (answer === undefined) return 'no-answer';
    // Longer than an answer may be is what only another daemon writes, and is not for ours to write again.
    if (text.length > 1_000) return 'long';
    mustMeanTheSame(answer, decodeStreamAnswer(encodeStreamAnswer(answer)));
    return ACCEPTED;
  },
};

const requests: readonly Request[] = [
  { do: 'hello', version: 1 },
  { do: 'status' },
  { do: 'ping', peer: 'bob', timeoutMs: 5_000 },
  { do: 'cancel', request: 2 ** 40 },
  { do: 'listen', port: 80, backlog: 16 },
  { do: 'send', from: 49_152, peer: 'bob', port: 7, data: new Uint8Array(60).fill(0x61) },
  { do: 'finish', stream: 7 },
  { do: 'reset', stream: 7, code: 14 },
  { do: 'refuse', token: '0123456789abcdef' },
  { do: 'add-peer', record: 'wrr1AAAA', endpoints: ['192.0.2.1:4440', 'host.example:1'], petname: 'carol' },
];

export const IPC_REQUEST: FuzzTarget = {
  name: 'ipc-request',
  corpus: () => requests.map((request, i) => encodeRequest(i % 3 === 0 ? undefined : i, request) as Uint8Array),
  check(input) {
    const message = decodeClientMessage(input);
    if (message.kind === 'unreadable') return message.reason;
    if (message.kind === 'misuse') return message.error.code;
    const written = encodeRequest(message.id, message.request);
    if (written instanceof Invalid) throw new FuzzFailure(`read, and not to be written: ${written.message}`);
    mustMeanTheSame(message, decodeClientMessage(written));
    return ACCEPTED;
  },
};

const events: readonly ServerEvent[] = [
  { event: 'incoming', port: 80, token: '0123456789abcdef', peer, remotePort: 49_152, priority: 1 },
  { event: 'gone', token: '0123456789abcdef' },
  { event: 'datagram', port: 80, peer, from: 49_152, data: new Uint8Array(60).fill(0x61) },
  { event: 'end', stream: 7, how: 'fin' },
  { event: 'end', stream: 7, how: 'reset', code: 300 },
  { event: 'end', stream: 7, how: 'closed', error },
  { event: 'error', error },
];

const path = { route: '192.0.2.1:4440', state: 'silent' };
const packets = { packetsSent: 9, packetsLost: 2, packetsLate: 1 };
const tunnel = {
  ...peer,
  ...path,
  roundTrip: 20,
  congestion: 'aimd',
  window: 14_720,
  mtu: 1_452,
  ...packets,
  streams: 1,
};
const why = { tunnel, routes: [path, path], lastError: '', advice: '' };
const report = { ...peer, callsItself: 'else', endpoints: ['192.0.2.1:4440'], ...why };

/** Replies are tried as if they were to `why`, which has a field of every kind. */
export const IPC_SERVER_MESSAGE: FuzzTarget = {
  name: 'ipc-server-message',
  corpus: () => [...events.map(encodeEvent), encodeRefusal(3, error), ...encodeReply(3, 'why', report)],
  check(input) {
    const message = decodeServerMessage(input);
    switch (message.kind) {
      case 'unreadable':
        return message.reason;
      case 'unknown-event':
        return message.kind;
      case 'event':
        mustMeanTheSame(message, decodeServerMessage(encodeEvent(message.event)));
        return ACCEPTED;
      case 'refusal':
        mustMeanTheSame(message, decodeServerMessage(encodeRefusal(message.re, message.error)));
        return ACCEPTED;
      default: {
        const reply = decodeReply('why', [message.part]);
        if (reply === undefined) return 'no-reply';
        const again = decodeServerMessage(encodeReply(message.re, 'why', reply).next());
        if (again.kind !== 'reply') throw new FuzzFailure(`a reply was read as ${again.kind}`);
        mustMeanTheSame(reply, decodeReply('why', [again.part]));
        return ACCEPTED;
      }
    }
  },
};
