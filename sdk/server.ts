import type { WarrenError } from '../base/errors.ts';
import { BACKLOG_NODE_MAX } from '../transport/listeners.ts';
import type { Incoming, NodeAccess, Port, Taken } from './node-access.ts';
import { OpenPort } from './open-port.ts';
import type { WarrenStream } from './stream.ts';

/** More than a node lets wait: its backlogs, for other nodes' streams and as much again for its own to itself. */
const WAITING_MAX: number = 2 * BACKLOG_NODE_MAX;

/**
 * A port that takes streams, as a `net.Server` takes connections: by the event `connection`, or by `for await`. Streams wait in the
 * port's backlog until somebody takes them. `close` is emitted when it is closed, by whomever.
 *
 * @example
 * const server = await bob.listen(1236);
 * server.on('connection', (stream) => stream.end('welcome'));
 *
 * const stream = await alice.dial('bob', 1236);
 * await server.close(); // the streams it has taken go on
 * for await (const bytes of stream) console.log(bytes.toString()); // welcome
 * console.log(server.listening); // false
 */
export class WarrenServer
  extends OpenPort<Incoming, Port, WarrenServerEvents>
  implements AsyncIterable<WarrenStream, void, undefined>
{
  readonly #node: ServingNode;

  private constructor(node: ServingNode) {
    super(node.access, 'connection', WAITING_MAX, {
      give: (incoming) => incoming.take((taken) => this.#tell(taken)),
      drop: (incoming) => incoming.refuse(),
    });
    this.#node = node;
  }

  /** @internal */
  static open(node: ServingNode, port: number, backlog: number | undefined): Promise<WarrenServer> {
    const server = new WarrenServer(node);
    const user = {
      incoming: (stream: Incoming) => server.came(stream),
      lost: (error: WarrenError) => server.lost(error),
    };
    return server.opened(node.access.listen({ port, backlog }, user));
  }

  get listening(): boolean {
    return this.isOpen;
  }

  /** Every stream that comes; ends when the server is closed, and throws where its node is lost. Leaving the loop closes nothing. */
  async *[Symbol.asyncIterator](): AsyncGenerator<WarrenStream, void, undefined> {
    for (let incoming = await this.next(); incoming !== undefined; incoming = await this.next()) {
      const stream = await this.#take(incoming);
      stream?.off('error', ignore);
      if (stream?.destroyed === false) yield stream;
    }
  }

  #tell(taken: Taken | undefined): void {
    // Where there is none, it ended while it waited.
    if (taken !== undefined) this.emit('connection', this.#node.adopt(taken));
  }

  /** Whoever is handed it listens only later, and until then an error of its has to find somebody. */
  #take(incoming: Incoming): Promise<WarrenStream | undefined> {
    return new Promise((resolve) => {
      incoming.take((taken) => resolve(taken && this.#node.adopt(taken).on('error', ignore)));
    });
  }
}

/** @internal */
export interface ServingNode {
  readonly access: NodeAccess;
  adopt(taken: Taken): WarrenStream;
}

/**
 * What a `WarrenServer` emits. `error` only where somebody listens to it: it says that the daemon is gone, and `close` follows.
 *
 * @example
 * const server = await bob.listen(1237);
 * server.on('close', () => console.log('closed')); // closed
 * await server.close();
 */
export interface WarrenServerEvents {
  connection: [stream: WarrenStream];
  error: [error: WarrenError];
  close: [];
}

function ignore(): void {}
