import { BoundedQueue } from '../base/bounded.ts';
import { WarrenError } from '../base/errors.ts';
import type { DatagramBinding, HostDatagram, PeerName } from '../ipc/host.ts';
import type { Standing } from '../ipc/shared-quota.ts';
import { BASE_MTU } from '../transport/constants.ts';
import type { DatagramPorts } from '../transport/endpoint.ts';
import { frameLength } from '../wire/frames.ts';
import { DATA_OVERHEAD_BYTES } from '../wire/packet.ts';
import type { Notice, Notices } from './notices.ts';
import { PortTable, requireLocalPort, requirePort } from './ports.ts';

/** To oneself, sent and not yet handed over; the oldest gives way. */
export const SELF_DATAGRAMS_MAX = 256;
/** The longest that every path carries: what goes to oneself is no longer, so that no program comes to rely on it. */
export const DATAGRAM_BYTES_MAX: number = longestDatagram();

/** Who may be sent to, and how. */
export interface DatagramWays {
  readonly self: PeerName;
  /** Thrown: nobody of that name. `self` for this node's own. */
  readonly find: (peer: string) => PeerName;
  readonly send: (peer: PeerName, ports: DatagramPorts, data: Uint8Array, standing: Standing) => void;
}

/** Datagrams of the programs on this node: each gets those to the ports it has bound, and no others. */
export class Datagrams implements Notice {
  readonly #ways: DatagramWays;
  readonly #notices: Notices;
  readonly #ports: PortTable<(datagram: HostDatagram) => void> = new PortTable();
  readonly #toSelf: BoundedQueue<{ readonly port: number; readonly datagram: HostDatagram }> = new BoundedQueue(
    SELF_DATAGRAMS_MAX,
  );
  #unbound = 0;

  constructor(ways: DatagramWays, notices: Notices) {
    this.#ways = ways;
    this.#notices = notices;
  }

  /** Came for a port that nobody has bound. */
  get unbound(): number {
    return this.#unbound;
  }

  bind(port: number, receive: (datagram: HostDatagram) => void, standing: Standing): DatagramBinding {
    const bound = this.#ports.bind(requireLocalPort(port), receive, standing);
    let isOpen = true;
    return {
      port: bound,
      send: (peer, to, data) => {
        if (isOpen) this.#send({ port: bound, standing }, peer, to, data);
      },
      close: () => {
        if (isOpen) this.#ports.unbind(bound);
        isOpen = false;
      },
    };
  }

  deliver(port: number, datagram: HostDatagram): void {
    const receive = this.#ports.get(port);
    if (receive === undefined) this.#unbound += 1;
    else receive(datagram);
  }

  /** As many as lie here now: answers to oneself have another turn. */
  tell(): void {
    for (let count = this.#toSelf.length; count > 0; count--) {
      const next = this.#toSelf.shift();
      if (next !== undefined) this.deliver(next.port, next.datagram);
    }
  }

  #send(from: Sender, peer: string, port: number, data: Uint8Array): void {
    const to = this.#ways.find(peer);
    requirePort(port);
    requireDatagram(data);
    // The caller may use its buffer again at once.
    const copy = data.slice();
    if (to !== this.#ways.self) {
      this.#ways.send(to, { source: from.port, destination: port }, copy, from.standing);
      return;
    }
    this.#toSelf.push({ port, datagram: { peer: to, port: from.port, data: copy } });
    this.#notices.add(this);
  }
}

interface Sender {
  readonly port: number;
  readonly standing: Standing;
}

/** Thrown: longer than what every path carries. */
export function requireDatagram(data: Uint8Array): void {
  if (data.length <= DATAGRAM_BYTES_MAX) return;
  throw new WarrenError(
    'ERR_WARREN_DATAGRAM_TOO_LARGE',
    `a datagram of ${data.length} bytes is too large`,
    `send at most ${DATAGRAM_BYTES_MAX} bytes at once, or use a stream`,
  );
}

function longestDatagram(): number {
  const room = BASE_MTU - DATA_OVERHEAD_BYTES;
  const lengthOf = (count: number): number =>
    frameLength({ kind: 'datagram', sourcePort: 1, destinationPort: 1, data: new Uint8Array(count) });
  let length = room;
  while (lengthOf(length) > room) length -= 1;
  return length;
}
