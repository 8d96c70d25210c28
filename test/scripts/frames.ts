import { toHex } from '../../base/bytes.ts';
import type { Frame, Priority } from '../../wire/frames.ts';

/**
 * The frames of scripts. Each word makes a frame to be received, and at the same time says what is expected of one that is sent:
 * what it names must be equal, and what it leaves out may be anything. A STREAM_DATA always says whether it carries the FIN.
 */
export interface FrameSpec {
  /** As it is received. */
  readonly frame: Frame;
  /** What one that is sent must say. */
  readonly named: Fields;
}

type Fields = Readonly<Record<string, unknown>>;

/** The bytes of a stream at that offset, or of a datagram at 0. */
export function pattern(offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = ((offset + i) * 167 + 13) % 251;
  return bytes;
}

export function ping(): FrameSpec {
  return { frame: { kind: 'ping' }, named: {} };
}

export function padding(length?: number): FrameSpec {
  return { frame: { kind: 'padding', length: length ?? 1 }, named: { length } };
}

/** Ranges from and to, in any order; the delay in ms. */
export function ack(ranges: readonly (readonly [number, number])[], options: { delay?: number } = {}): FrameSpec {
  const descending = [...ranges].sort((a, b) => b[1] - a[1]).map(([smallest, largest]) => ({ smallest, largest }));
  const delayUs = options.delay === undefined ? undefined : Math.round(options.delay * 1_000);
  return {
    frame: { kind: 'ack', delayUs: delayUs ?? 0, ranges: descending },
    named: { ranges: rangesText(descending), delayUs },
  };
}

/** An ACK of anything. */
export function anyAck(): FrameSpec {
  return { frame: { kind: 'ack', delayUs: 0, ranges: [{ smallest: 0, largest: 0 }] }, named: {} };
}

export function streamOpen(fields: { stream: number; port?: number; from?: number; priority?: Priority }): FrameSpec {
  const { stream, port, from, priority } = fields;
  return {
    frame: {
      kind: 'stream-open',
      stream,
      sourcePort: from ?? 6_000,
      destinationPort: port ?? 80,
      priority: priority ?? 1,
    },
    named: { stream, destinationPort: port, sourcePort: from, priority },
  };
}

export interface StreamDataFields {
  readonly stream: number;
  /** Received, 0 where it is left out; so is the length. */
  readonly offset?: number;
  readonly length?: number;
  /** In the place of the pattern. */
  readonly text?: string;
  readonly fin?: boolean;
}

export function streamData({ stream, offset, length, text, fin = false }: StreamDataFields): FrameSpec {
  const data = text === undefined ? pattern(offset ?? 0, length ?? 0) : new TextEncoder().encode(text);
  return {
    frame: { kind: 'stream-data', stream, offset: offset ?? 0, data, fin },
    named: { stream, offset, length: text === undefined ? length : data.length, fin },
  };
}

/** The end of the peer's bytes, without any. */
export function fin(stream: number, offset: number): FrameSpec {
  return streamData({ stream, offset, length: 0, fin: true });
}

export function reset(fields: { stream: number; code?: number; finalSize?: number }): FrameSpec {
  const { stream, code, finalSize } = fields;
  return {
    frame: { kind: 'stream-reset', stream, code: code ?? 0, finalSize: finalSize ?? 0 },
    named: { stream, code, finalSize },
  };
}

export function stop(fields: { stream: number; code?: number }): FrameSpec {
  const { stream, code } = fields;
  return { frame: { kind: 'stream-stop', stream, code: code ?? 0 }, named: { stream, code } };
}

export function maxData(limit?: number): FrameSpec {
  return { frame: { kind: 'max-data', limit: limit ?? 0 }, named: { limit } };
}

export function maxStreamData(stream: number, limit?: number): FrameSpec {
  return { frame: { kind: 'max-stream-data', stream, limit: limit ?? 0 }, named: { stream, limit } };
}

export function maxStreams(limit?: number): FrameSpec {
  return { frame: { kind: 'max-streams', limit: limit ?? 0 }, named: { limit } };
}

export function datagram(fields: { length?: number; port?: number } = {}): FrameSpec {
  const { length, port } = fields;
  return {
    frame: {
      kind: 'datagram',
      sourcePort: 6_000,
      destinationPort: port ?? 80,
      data: pattern(0, length ?? 0),
    },
    named: { length, destinationPort: port },
  };
}

export function pathChallenge(token?: string): FrameSpec {
  return { frame: { kind: 'path-challenge', token: tokenBytes(token) }, named: { token } };
}

export function pathResponse(token?: string): FrameSpec {
  return { frame: { kind: 'path-response', token: tokenBytes(token) }, named: { token } };
}

export function close(code: number, reason?: string): FrameSpec {
  return { frame: { kind: 'close', code, reason: reason ?? '' }, named: { code, reason } };
}

export function optional(type: number, length: number): FrameSpec {
  return { frame: { kind: 'optional', type, data: new Uint8Array(length) }, named: { type } };
}

/** What keeps a frame from being what is expected, each in words; nothing where it is. */
export function differences(spec: FrameSpec, frame: Frame | undefined): string[] {
  if (frame === undefined) return [`${textOfSpec(spec)} is missing`];
  if (frame.kind !== spec.frame.kind) return [`${textOf(frame)} is there in the place of ${textOfSpec(spec)}`];
  const fields = fieldsOf(frame);
  const reasons: string[] = [];
  for (const [name, wanted] of Object.entries(spec.named)) {
    if (wanted === undefined || fields[name] === wanted) continue;
    reasons.push(`${NAMES[frame.kind]}: ${name} is ${fields[name]} and not ${wanted}`);
  }
  if (frame.kind === 'stream-data' && toHex(frame.data) !== toHex(pattern(frame.offset, frame.data.length))) {
    reasons.push(`${textOf(frame)}: the bytes are not those of the stream at this offset`);
  }
  return reasons;
}

export function textOfSpec({ frame, named }: FrameSpec): string {
  return frame.kind === 'ack' && Object.keys(named).length === 0 ? 'ACK of anything' : textOf(frame);
}

/** The notation of traces. */
export function textOf(frame: Frame): string {
  const name = NAMES[frame.kind];
  switch (frame.kind) {
    case 'ack':
      return `${name} ${rangesText(frame.ranges)}${frame.delayUs === 0 ? '' : ` after ${frame.delayUs / 1_000} ms`}`;
    case 'stream-open':
      return `${name} ${frame.stream} from ${frame.sourcePort} to ${frame.destinationPort}, priority ${frame.priority}`;
    case 'stream-data': {
      const { stream, offset, data } = frame;
      return `${name} ${stream} ${offset}..${offset + data.length}${frame.fin ? ' FIN' : ''}`;
    }
    case 'stream-reset':
      return `${name} ${frame.stream} code ${frame.code}, final size ${frame.finalSize}`;
    case 'stream-stop':
      return `${name} ${frame.stream} code ${frame.code}`;
    case 'max-stream-data':
      return `${name} ${frame.stream} ${frame.limit}`;
    case 'max-data':
    case 'max-streams':
      return `${name} ${frame.limit}`;
    case 'padding':
      return `${name} × ${frame.length}`;
    case 'datagram':
      return `${name} to ${frame.destinationPort}, ${frame.data.length} bytes`;
    case 'close':
      return `${name} ${frame.code} ${JSON.stringify(frame.reason)}`;
    case 'path-challenge':
    case 'path-response':
      return `${name} ${toHex(frame.token)}`;
    default:
      return name;
  }
}

function fieldsOf(frame: Frame): Fields {
  switch (frame.kind) {
    case 'ack':
      return { ranges: rangesText(frame.ranges), delayUs: frame.delayUs };
    case 'stream-data':
      return { ...frame, length: frame.data.length };
    case 'datagram':
      return { ...frame, length: frame.data.length };
    case 'path-challenge':
    case 'path-response':
      return { token: toHex(frame.token) };
    default:
      return { ...frame };
  }
}

function rangesText(ranges: readonly { readonly smallest: number; readonly largest: number }[]): string {
  return ranges.map(({ smallest, largest }) => `${smallest}..${largest}`).join(' ');
}

function tokenBytes(token = '0102030405060708'): Uint8Array {
  return Uint8Array.from(token.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const NAMES: Readonly<Record<Frame['kind'], string>> = {
  padding: 'PADDING',
  ping: 'PING',
  ack: 'ACK',
  'stream-open': 'STREAM_OPEN',
  'stream-data': 'STREAM_DATA',
  'stream-reset': 'STREAM_RESET',
  'stream-stop': 'STREAM_STOP',
  'max-data': 'MAX_DATA',
  'max-stream-data': 'MAX_STREAM_DATA',
  'max-streams': 'MAX_STREAMS',
  datagram: 'DATAGRAM',
  'path-challenge': 'PATH_CHALLENGE',
  'path-response': 'PATH_RESPONSE',
  close: 'CLOSE',
  handshake: 'HANDSHAKE',
  candidates: 'CANDIDATES',
  'observed-address': 'OBSERVED_ADDRESS',
  optional: 'OPTIONAL',
};
