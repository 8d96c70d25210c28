import { assertNever } from '../base/assert.ts';
import { WarrenError } from '../base/errors.ts';
import type { Client } from './client-registry.ts';
import type { AdminHost, Host } from './host.ts';
import { CONTROL_VERSION, type Command, type Replies, type Request } from './messages.ts';

/** What the requests of one client do. */
export class ControlCommands {
  readonly #host: Host;
  readonly #admin: AdminHost | undefined;
  readonly #client: Client;
  #hasGreeted = false;

  constructor({ host, admin }: DoorHosts, client: Client) {
    this.#host = host;
    this.#admin = admin;
    this.#client = client;
  }

  /**
   * Thrown and rejected: a `WarrenError` for the client. Where it gives a promise, `signal` ends what that waits for; it is asked for
   * only then, because to make one is more work than most requests.
   */
  run(request: Request, signal: () => AbortSignal): Replies[Command] | Promise<Replies[Command]> {
    if (!this.#hasGreeted && request.do !== 'hello') throw notGreeted();
    const host = this.#host;
    const client = this.#client;
    switch (request.do) {
      case 'hello':
        return this.#hello(request.version);
      case 'status':
        return host.status();
      case 'peers':
        return { peers: host.peers() };
      case 'resolve':
        return host.resolve(request.peer);
      case 'why':
        return host.why(request.peer);
      case 'ping':
        return client.ping(() => host.ping(request.peer, { timeout: request.timeoutMs, signal: signal() }));
      case 'listen': {
        const { port, backlog } = request;
        return { port: client.listen((incoming) => host.listen({ port, backlog }, incoming)) };
      }
      case 'unlisten':
        client.unlisten(request.port);
        return {};
      case 'refuse':
        client.take(request.token)?.refuse();
        return {};
      case 'bind':
        return { port: client.bind((receive) => host.bind(request.port, receive)) };
      case 'unbind':
        client.unbind(request.port);
        return {};
      case 'send':
        client.datagramPort(request.from).send(request.peer, request.port, request.data);
        return {};
      case 'finish':
        client.notice(request.stream, { how: 'finish' });
        return {};
      case 'reset':
        client.notice(request.stream, { how: 'reset', code: request.code });
        return {};
      case 'record':
        return { record: this.#owners('record').record() };
      case 'add-peer':
        return this.#owners('add-peer').addPeer(request);
      case 'remove-peer':
        return this.#owners('remove-peer').removePeer(request.peer);
      case 'shutdown': {
        const admin = this.#owners('shutdown');
        // The reply goes first: with the node its socket ends.
        setImmediate(() => admin.shutdown());
        return {};
      }
      case 'cancel':
        // The connection does that itself, which knows what waits.
        return {};
      default:
        return assertNever(request);
    }
  }

  /** Thrown: it is not for this socket. */
  #owners(command: Command): AdminHost {
    if (this.#admin === undefined) throw notAdmin(command);
    return this.#admin;
  }

  #hello(version: number): Replies['hello'] {
    if (version !== CONTROL_VERSION) throw otherVersion();
    this.#hasGreeted = true;
    const { address, name, key } = this.#host.self;
    const daemon = this.#host.status().version;
    return { version: CONTROL_VERSION, client: this.#client.token, address, name, key, daemon };
  }
}

/** The node as one of the two sockets offers it. */
export interface DoorHosts {
  readonly host: Host;
  /** On `admin.sock` only. */
  readonly admin: AdminHost | undefined;
}

function notGreeted(): WarrenError {
  return new WarrenError('ERR_WARREN_HELLO', 'the first request is hello', 'Send it, and wait for its reply.');
}

function otherVersion(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_VERSION',
    `this daemon speaks version ${CONTROL_VERSION} of the local protocol`,
    'Use a program and a daemon of the same version.',
  );
}

function notAdmin(command: Command): WarrenError {
  return new WarrenError(
    'ERR_WARREN_NOT_ALLOWED',
    `${command} is for the node's owner`,
    'Ask on admin.sock, which stands in the same directory.',
  );
}
