import type { WarrenError } from '../base/errors.ts';
import { requireDatagram } from '../daemon/datagrams.ts';
import type { HostDatagram, PeerName } from '../ipc/host.ts';
import { check, DATA, PEER, PORT } from './arguments.ts';
import type { DatagramPort, NodeAccess } from './node-access.ts';
import { OpenPort } from './open-port.ts';

/** That nobody has taken; the oldest gives way. */
const WAITING_MAX = 256;

/**
 * A port for datagrams: single messages, unreliable, at most as long as every path can carry (`send` says where one is not). They
 * come by the event `message`, or by `for await`; up to 256 wait until somebody takes them, then the oldest are dropped.
 *
 * @example
 * const receiver = await bob.bind(5000);
 * const sender = await alice.bind(0);
 * await sender.send('bob', 5000, Buffer.from('ding'));
 * for await (const { peer, port, data } of receiver) {
 *   console.log(peer.name, port === sender.port, Buffer.from(data).toString()); // alice true ding
 *   break;
 * }
 * await receiver.close();
 * await sender.close();
 */
export class WarrenDatagrams
  extends OpenPort<HostDatagram, DatagramPort, WarrenDatagramsEvents>
  implements AsyncIterable<DatagramMessage, void, undefined>
{
  #dropped = 0;

  private constructor(access: NodeAccess) {
    super(access, 'message', WAITING_MAX, {
      give: (message) => this.emit('message', message),
      drop: () => {
        this.#dropped += 1;
      },
    });
  }

  /** @internal */
  static open(access: NodeAccess, port: number): Promise<WarrenDatagrams> {
    const datagrams = new WarrenDatagrams(access);
    const user = {
      received: (message: HostDatagram) => datagrams.came(message),
      lost: (error: WarrenError) => datagrams.lost(error),
    };
    return datagrams.opened(access.bind(port, user));
  }

  /** How many came and were never taken. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Sends one. The bytes may be changed as soon as this has returned; the promise need not be looked at, for whoever sends
   * datagrams has to live with losing some. It rejects where nothing was sent: nobody of that name, too long.
   */
  send(peer: string, port: number, data: Uint8Array): Promise<void> {
    const sent = this.#send(peer, port, data);
    sent.catch(() => {});
    return sent;
  }

  async #send(peer: string, port: number, data: Uint8Array): Promise<void> {
    check('send', 'peer', peer, PEER);
    check('send', 'port', port, PORT);
    check('send', 'data', data, DATA);
    requireDatagram(data);
    await this.boundPort.send(peer, port, data);
  }

  /** Every datagram that comes; ends when the port is closed, and throws where its node is lost. Leaving the loop closes nothing. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DatagramMessage, void, undefined> {
    for (let message = await this.next(); message !== undefined; message = await this.next()) yield message;
  }
}

/**
 * A datagram that has come: from whom, from which of their ports, and what.
 *
 * @example
 * const receiver = await bob.bind(5001);
 * const sender = await alice.bind(0);
 * receiver.on('message', (message) => {
 *   console.log(message.peer.name, Buffer.from(message.data).toString()); // alice dong
 * });
 * await sender.send('bob', 5001, Buffer.from('dong'));
 */
export interface DatagramMessage {
  readonly peer: PeerName;
  readonly port: number;
  readonly data: Uint8Array;
}

/**
 * What a `WarrenDatagrams` emits. `error` only where somebody listens to it: it says that the daemon is gone, and `close` follows.
 *
 * @example
 * const datagrams = await bob.bind(5002);
 * datagrams.on('close', () => console.log('closed')); // closed
 * await datagrams.close();
 */
export interface WarrenDatagramsEvents {
  message: [message: DatagramMessage];
  error: [error: WarrenError];
  close: [];
}
