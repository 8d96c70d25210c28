import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { MILLISECOND, SECOND } from '../../base/time.ts';
import { SELF_DATAGRAMS_MAX } from '../../daemon/datagrams.ts';
import { TUNNELS_KEPT } from '../../daemon/node.ts';
import { DIAL_TIMEOUT_MS } from '../../daemon/node-streams.ts';
import { PEERS_MAX } from '../../daemon/peer-book.ts';
import { APP_EPHEMERAL_MAX, EPHEMERAL_FIRST, EPHEMERAL_LAST } from '../../daemon/ports.ts';
import { SELF_STREAMS_KEPT, SELF_STREAMS_MAX, SELF_WINDOW_BYTES } from '../../daemon/self-streams.ts';
import { EARLY_BYTES_MAX } from '../../daemon/tunnel-stream.ts';
import {
  APP_PLACES_MAX,
  DIALS_WAITING_KEPT,
  DIALS_WAITING_MAX,
  PEER_DIALS_WAITING_KEPT,
  PEER_DIALS_WAITING_MAX,
} from '../../daemon/tunnel-streams.ts';
import {
  BOUNDS,
  CONNECTIONS_KEPT_SHARE,
  CONNECTIONS_MIN,
  FILES_RESERVED,
  SOCKET_BUFFER_BYTES,
} from '../../ipc/bounds.ts';
import { DATAGRAM_BYTES_MAX } from '../../ipc/messages.ts';
import {
  ENDPOINT_BYTES_MAX,
  PEER_BYTES_MAX,
  PEER_ENDPOINTS_MAX,
  PEER_TIMEOUT_MS,
  RECORD_TEXT_BYTES_MAX,
  TIMEOUT_MS,
} from '../../ipc/value-bounds.ts';
import { ECHO_STREAMS_MAX, ECHO_STREAMS_PER_PEER_MAX } from '../../services/echo.ts';
import { DATAGRAMS_QUEUED_MAX, DEFAULT_CONFIG, EVICTABLE_AFTER } from '../../transport/constants.ts';
import { BACKLOG_DEFAULT, BACKLOG_NODE_MAX } from '../../transport/listeners.ts';
import { DEFAULT_STREAM_CONFIG } from '../../transport/streams/constants.ts';

/** The tables of "Bounds" in ipc/PROTOCOL.md, and of PROTOCOL.md §12 what a node adds to the wire's, against the constants. */

const PAGE = readFileSync(new URL('../../ipc/PROTOCOL.md', import.meta.url), 'utf8');
const WIRE_PAGE = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8');

it('every bound of a socket is the one that is kept', () => {
  const { turnMs, unreadWaitBytes, unreadBytes, unreadBytesMax, bytesPerTurn, ...rest } = BOUNDS;
  const section = sectionOf('### Of a socket', '### Of a node');
  for (const text of [
    `both sockets | ${group(rest.connections)}; `,
    `as many as that less ${FILES_RESERVED}, but never fewer than ${CONNECTIONS_MIN} `,
    '`app.sock` | ⅞ ',
    `control connections, per socket | ${rest.controlConnections} `,
    `| ${group(rest.streamsPerClient)} / ${group(rest.streamsWithoutClient)} / ${group(rest.streams)} `,
    `whole line, per socket | ${group(rest.unsorted)} `,
    `whole line | ${group(rest.fruitless)} at once, ${rest.fruitlessPerSecond} a second | on Linux, with \`koffi\`, one is taken at a time`,
    `dials under way and pings, per client, and per socket for all without one | ${rest.dials} `,
    `ports of both kinds, per client | ${rest.ports} `,
    `per client | ${group(rest.waiting)}, and ${rest.acceptMs / 1_000} s `,
    `has not come, per client | ${group(rest.earlyNotices)} `,
    `requests that wait, per client | ${group(rest.requests)} `,
    `| 512 bytes / ${rest.firstLineMs / 1_000} s `,
    `| ${unreadWaitBytes / 2 ** 10} KiB / ${unreadBytes / 2 ** 20} MiB / ${unreadBytesMax / 2 ** 20} MiB | of replies: its requests wait`,
    `in one turn | ${turnMs} ms`,
    `in one turn | ${bytesPerTurn / 2 ** 10} KiB `,
    `per stream connection and direction | ${SOCKET_BUFFER_BYTES / 2 ** 10} KiB`,
    `does not | ${rest.lingerMs / 1_000} s `,
  ]) {
    expect(section).toContain(text);
  }
  expect(1 - CONNECTIONS_KEPT_SHARE).toBe(7 / 8);
  expect(PAGE).toContain(`within ${rest.messageMs / 1_000} s of its first byte`);
});

it('every bound of a node is the one that is kept, and so in the page of the wire', () => {
  const section = sectionOf('### Of a node', '### Of a value');
  const early = `${EARLY_BYTES_MAX / 2 ** 10} KiB`;
  const toSelf = `${group(SELF_STREAMS_MAX)}, with ${SELF_WINDOW_BYTES / 2 ** 10} KiB in each direction`;
  const dynamic = 1 + EPHEMERAL_LAST - EPHEMERAL_FIRST;
  const echo = `${ECHO_STREAMS_PER_PEER_MAX} / ${group(ECHO_STREAMS_MAX)}`;
  for (const text of [
    `of a node | ${group(DIALS_WAITING_MAX)} | ${group(DIALS_WAITING_MAX - DIALS_WAITING_KEPT)} |`,
    `one peer | ${group(PEER_DIALS_WAITING_MAX)} | ${group(PEER_DIALS_WAITING_MAX - PEER_DIALS_WAITING_KEPT)} |`,
    `| ${early}, in all ${(DIALS_WAITING_MAX * EARLY_BYTES_MAX) / 2 ** 20} MiB |`,
    `${group(DEFAULT_STREAM_CONFIG.peerStreamsMax)}, if it is not set otherwise | ${group(APP_PLACES_MAX)} |`,
    `| ${toSelf} | ${group(SELF_STREAMS_MAX - SELF_STREAMS_KEPT)} |`,
    `(${EPHEMERAL_FIRST} to ${EPHEMERAL_LAST})`,
    `bound ones | ${group(dynamic)} | ${group(APP_EPHEMERAL_MAX)} |`,
    `for datagrams | ${group(dynamic)} | ${group(APP_EPHEMERAL_MAX)} |`,
    `| 1 to ${group(BACKLOG_NODE_MAX)}, ${BACKLOG_DEFAULT} where it is left out |`,
    `on all ports | ${group(BACKLOG_NODE_MAX)} |`,
    `not yet handed over | ${SELF_DATAGRAMS_MAX} |`,
    `being asked for | ${DATAGRAMS_QUEUED_MAX} |`,
    `of one peer / of all | ${echo} |`,
    `tunnels | ${group(DEFAULT_CONFIG.tunnelsMax)} | ${group(DEFAULT_CONFIG.tunnelsMax - TUNNELS_KEPT)}`,
    `it has been for ${EVICTABLE_AFTER / SECOND} s`,
    `peers | ${group(PEERS_MAX)} |`,
    `of a peer | ${PEER_ENDPOINTS_MAX} |`,
    `at most\n${group(BOUNDS.streamsPerClient + BOUNDS.dials + BOUNDS.ports)} of them`,
  ]) {
    expect(section).toContain(text);
  }
  const limits = WIRE_PAGE.slice(WIRE_PAGE.indexOf('## 12. Limits'));
  for (const text of [
    `| ${group(PEER_DIALS_WAITING_MAX)} / ${group(DIALS_WAITING_MAX)}, each with ${early} written |`,
    `| ${toSelf} |`,
    `| ${echo} |`,
    `each | ${group(PEERS_MAX)}, and ${PEER_ENDPOINTS_MAX} |`,
    `not yet handed over | ${SELF_DATAGRAMS_MAX} |`,
    `being asked for | ${DATAGRAMS_QUEUED_MAX} |`,
    `lent to dialled streams | ${group(dynamic)}, `,
  ]) {
    expect(limits).toContain(text);
  }
});

it('every bound of a value is the one that is kept', () => {
  const section = sectionOf('### Of a value', '## Examples');
  for (const text of [
    `a dial, in ms | ${TIMEOUT_MS.least} | ${group(TIMEOUT_MS.most)} | ${group(DIAL_TIMEOUT_MS)} |`,
    `of a ping | ${TIMEOUT_MS.least} | ${group(TIMEOUT_MS.most)} |`,
    `in ms | ${group(PEER_TIMEOUT_MS.least)} | ${group(PEER_TIMEOUT_MS.most)} |`,
    `\`peer\` | 1 | ${PEER_BYTES_MAX} bytes |`,
    `\`record\` | 1 | ${group(RECORD_TEXT_BYTES_MAX)} bytes |`,
    `\`endpoints\` | 1 | ${ENDPOINT_BYTES_MAX} bytes |`,
    `\`data\` | 0 | ${group(DATAGRAM_BYTES_MAX)} bytes;`,
  ]) {
    expect(section).toContain(text);
  }
});

it('the SDK says the bounds of its spans where they are given', () => {
  const types = readFileSync(new URL('../../sdk/types.ts', import.meta.url), 'utf8');
  const timeout = `in whole milliseconds, from ${TIMEOUT_MS.least} to ${group(TIMEOUT_MS.most)} (a day)`;
  expect(types.toLowerCase().split(timeout)).toHaveLength(3);
  const { least, most } = PEER_TIMEOUT_MS;
  expect(types).toContain(`in whole milliseconds, from ${group(least)} to ${group(most)} (an hour)`);
  expect(types).toContain(`; ${group(DIAL_TIMEOUT_MS)} where it is left out`);
  expect(types).toContain(`and ${group(DEFAULT_CONFIG.peerTimeout / MILLISECOND)}\n`);
});

function sectionOf(from: string, to: string): string {
  expect(PAGE).toContain(from);
  return PAGE.slice(PAGE.indexOf(from), PAGE.indexOf(to));
}

function group(number: number): string {
  return number.toLocaleString('en-US');
}
