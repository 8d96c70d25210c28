import { assertNever } from '../base/assert.ts';
import { WarrenError } from '../base/errors.ts';
import type { PeerName } from '../ipc/host.ts';
import type { DownReason } from '../transport/events.ts';
import { CLOSE_CODES, type CloseCode } from '../wire/close-codes.ts';
import { quoteText } from './escape.ts';

/** Why streams fail, in words: what the program tests for (`code`), what happened, and what whoever reads it can do. */

/** PROTOCOL.md §11: codes from here on are the applications' own. */
export const APPLICATION_CODE_FIRST = 256;

/** What people call a peer. */
export function display(peer: PeerName): string {
  return peer.name === '' ? peer.address : peer.name;
}

export function noRoute(peer: PeerName): WarrenError {
  const who = display(peer);
  return new WarrenError(
    'ERR_WARREN_NO_ROUTE',
    `it is not known where ${who} can be reached`,
    `warren peer add … --endpoint HOST:PORT, or let ${who} dial this node`,
  );
}

export function noAddress(peer: PeerName, lookups: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_UNREACHABLE',
    `no endpoint of ${display(peer)} has an address: ${lookups}`,
    'check the host name, or name an IP address with warren peer add … --endpoint HOST:PORT',
  );
}

export function unreachable(peer: PeerName): WarrenError {
  const who = display(peer);
  return new WarrenError(
    'ERR_WARREN_UNREACHABLE',
    `${who} does not answer`,
    `warren why ${who} shows what was tried; ${who} must run, be reachable by UDP there, and have this node in its peer book`,
  );
}

export function badPeer(peer: PeerName): WarrenError {
  return new WarrenError(
    'ERR_WARREN_RECORD',
    `the record of ${display(peer)} names a key that nobody can have, or this node's own`,
    'remove the peer, and ask its owner for the right record',
  );
}

export function dialTimeout(peer: PeerName, port: number, milliseconds: number): WarrenError {
  const who = display(peer);
  return new WarrenError(
    'ERR_WARREN_TIMEOUT',
    `nobody took the stream to port ${port} of ${who} within ${milliseconds} ms`,
    `warren why ${who} shows whether ${who} answers at all; allow more time where the way is long`,
  );
}

/** Why an open was refused, where the code says that it was. */
export function refusal(peer: PeerName, port: number, code: number): WarrenError | undefined {
  const who = display(peer);
  switch (code) {
    case CLOSE_CODES.NO_LISTENER:
      return new WarrenError(
        'ERR_WARREN_REFUSED',
        `nobody listens on port ${port} of ${who}`,
        `start the program that serves port ${port} there`,
      );
    case CLOSE_CODES.BACKLOG_FULL:
      return new WarrenError(
        'ERR_WARREN_BACKLOG_FULL',
        `too many streams wait at port ${port} of ${who}`,
        'try again later; the program there is slow to take streams',
      );
    case CLOSE_CODES.NOT_TRUSTED:
      return new WarrenError(
        'ERR_WARREN_NOT_TRUSTED',
        `${who} does not let this node use port ${port}`,
        `ask ${who} for that port`,
      );
    case CLOSE_CODES.LIMIT:
      return new WarrenError('ERR_WARREN_LIMIT', `${who} holds as many streams as it can`, 'try again later');
    default:
      return undefined;
  }
}

/** The far program gave the stream up, or a half of it. */
export function resetError(peer: PeerName, code: number): WarrenError {
  const who = display(peer);
  if (code >= APPLICATION_CODE_FIRST) {
    return new WarrenError(
      'ERR_WARREN_RESET',
      `the program at ${who} gave the stream up with code ${code}`,
      'the code is that program’s own',
    );
  }
  return new WarrenError(
    'ERR_WARREN_RESET',
    `the program at ${who} gave the stream up (${nameOf(code)})`,
    'it may have ended; try again',
  );
}

export function peerRemoved(peer: PeerName): WarrenError {
  return new WarrenError(
    'ERR_WARREN_PEER_REMOVED',
    `${display(peer)} was removed from the peer book`,
    'warren peer add … takes it in again',
  );
}

export function shutdown(): WarrenError {
  return new WarrenError('ERR_WARREN_SHUTDOWN', 'this node is shutting down', 'start it again');
}

export function localLimit(what: string, max: number): WarrenError {
  return new WarrenError('ERR_WARREN_LIMIT', `this node holds at most ${max} ${what}`, 'try again later');
}

/** What the end of a tunnel means to its streams. `wasUp`: the peer had answered before. */
export function tunnelError(peer: PeerName, reason: DownReason, wasUp: boolean): WarrenError {
  const who = display(peer);
  switch (reason.kind) {
    case 'closed':
      return closedHere(peer, reason.code);
    case 'closed-by-peer':
      return closedByPeer(who, reason.code, reason.text);
    case 'peer-timeout':
      if (!wasUp) return unreachable(peer);
      return new WarrenError(
        'ERR_WARREN_PEER_TIMEOUT',
        `${who} does not answer any more`,
        'check that it runs and that the network between is up; then dial again',
      );
    case 'peer-restarted':
      return new WarrenError('ERR_WARREN_PEER_RESTARTED', `${who} was started anew`, 'dial again');
    case 'evicted':
      return new WarrenError(
        'ERR_WARREN_LIMIT',
        `the tunnel to ${who} was the longest unused, and gave way to another`,
        'dial again',
      );
    default:
      return assertNever(reason);
  }
}

function closedHere(peer: PeerName, code: CloseCode): WarrenError {
  const who = display(peer);
  switch (code) {
    case 'SHUTDOWN':
      return shutdown();
    case 'NOT_TRUSTED':
      return peerRemoved(peer);
    case 'NO_ERROR':
      return new WarrenError('ERR_WARREN_PEER_CLOSED', `the tunnel to ${who} was closed here`, 'dial again');
    default:
      return new WarrenError(
        'ERR_WARREN_PROTOCOL',
        `the tunnel to ${who} was closed here: ${code}`,
        'dial again; if it comes back, one of the two versions has a fault: please report it',
      );
  }
}

/** The text is the peer's. */
function closedByPeer(who: string, code: number, text: string): WarrenError {
  const said = text === '' ? '' : `: ${quoteText(text)}`;
  switch (code) {
    case CLOSE_CODES.SHUTDOWN:
      return new WarrenError('ERR_WARREN_PEER_CLOSED', `${who} was shut down${said}`, 'dial again when it is back');
    case CLOSE_CODES.NO_ERROR:
      return new WarrenError('ERR_WARREN_PEER_CLOSED', `${who} closed the tunnel${said}`, 'dial again');
    case CLOSE_CODES.NOT_TRUSTED:
      return new WarrenError(
        'ERR_WARREN_NOT_TRUSTED',
        `${who} does not have this node in its peer book any more${said}`,
        `ask ${who} to add this node`,
      );
    default:
      return new WarrenError(
        'ERR_WARREN_PROTOCOL',
        `${who} closed the tunnel (${nameOf(code)})${said}`,
        'dial again; if it comes back, one of the two versions has a fault: please report it',
      );
  }
}

function nameOf(code: number): string {
  const known = Object.entries(CLOSE_CODES).find(([, value]) => value === code);
  return known?.[0] ?? `code ${code}`;
}
