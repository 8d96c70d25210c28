import type { Observer, WireEvent } from './wire-event.ts';

/**
 * How often each thing that a world can do to its nodes has really happened in a run. A fault that is drawn and never comes to
 * pass tests nothing, and that does not show in a list of runs that passed; a zero in these sums does.
 */
export class Happenings implements Observer {
  readonly #counts: Map<Happening, number> = new Map(HAPPENINGS.map((name) => [name, 0]));
  /** Losses in a row by link. */
  readonly #lost: Map<string, number> = new Map();

  add(name: Happening, times = 1): void {
    this.#counts.set(name, this.#counts.get(name)! + times);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  datagram(event: WireEvent): void {
    const { fate, cause, origin, corruption } = event;
    if (fate === 'delivered') {
      if (corruption !== undefined) this.add(corruption);
      if (origin !== 'original') this.add(origin);
      this.#lost.delete(linkOf(event));
    } else if (fate === 'dropped') {
      if (cause === 'adversary' || cause === undefined) return;
      this.add(cause);
      if (cause === 'lost') this.#noteLost(linkOf(event));
    }
  }

  /** Something was delivered between two bursts; independent losses come so close together only rarely. */
  #noteLost(link: string): void {
    const row = (this.#lost.get(link) ?? 0) + 1;
    this.#lost.set(link, row);
    if (row === BURST) this.add('burst');
  }
}

const BURST = 4;

function linkOf({ fromHost, toHost }: WireEvent): string {
  return `${fromHost}>${toHost}`;
}

export const HAPPENINGS = [
  // To a datagram.
  'lost',
  'burst',
  'queueDropped',
  'tooBig',
  'down',
  'unroutable',
  'unattached',
  'paused',
  'duplicate',
  'replay',
  'reordered',
  'heldBack',
  'bit',
  'byte',
  'truncation',
  'splice',
  'injected',
  'inert',
  // To a link or a node.
  'cut one way',
  'cut both ways',
  'clog',
  'mtu change',
  'address change',
  'restart',
  'suspend',
  'long suspend',
  'late timer',
  // To a tunnel.
  'path-changed',
  'rekeyed',
  'closed',
  'closed-by-peer',
  'peer-timeout',
  'peer-restarted',
  'cookie-demanded',
  'rate-limited',
  // To a stream.
  'finished',
  'half-closed',
  'left unread',
  'reset',
  'stopped',
  'slow reader',
  'stalled reader',
  'gulp',
  'writer waits',
  'priority 0',
  'priority 1',
  'priority 2',
  'priority change',
  'taken late',
  'turned away',
  'NO_LISTENER',
  'BACKLOG_FULL',
  'LIMIT',
  'stream limit',
  'stream window used up',
  'tunnel window used up',
] as const;

export type Happening = (typeof HAPPENINGS)[number];
