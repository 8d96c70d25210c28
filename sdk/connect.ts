import type { WarrenError } from '../base/errors.ts';
import { socketToUse } from '../ipc/socket-path.ts';
import { CONNECT_OPTIONS, checkOptions } from './arguments.ts';
import { DaemonAccess } from './daemon-access.ts';
import { cancellable } from './errors.ts';
import { WarrenNode } from './node.ts';

/**
 * The node of the daemon that runs on this machine. What the program opens there, ports and streams, ends with this connection.
 *
 * @example
 * // carol's daemon runs, as `warren up` starts it
 * const carol = await connect({ admin: true });
 * console.log(carol.name); // carol
 * await carol.close();
 */
export async function connect(options: ConnectOptions = {}): Promise<WarrenNode> {
  checkOptions('connect', options, CONNECT_OPTIONS);
  const { socket, admin = false, signal } = options;
  const environment = socket === undefined ? process.env : { WARREN_SOCKET: socket };
  let node: WarrenNode | undefined;
  const path = socketToUse(environment, admin ? 'admin' : 'app');
  const stops = (): void => node?.stops();
  const lost = (error: WarrenError): void => node?.lost(error);
  const access = await cancellable(signal, () => DaemonAccess.connect(path, { signal, stops, lost }));
  node = WarrenNode.over(access);
  return node;
}

/**
 * Where the daemon is: the directory of its sockets, or one of them. Where `socket` is left out it is `$WARREN_SOCKET`, else
 * `$XDG_RUNTIME_DIR/warren`, else `~/.warren/run`. With `admin` the program may do what only the node's owner may.
 *
 * @example
 * const carol = await connect({ socket: process.env.WARREN_SOCKET });
 * await carol.record().catch((error) => console.log(error.code)); // ERR_WARREN_NOT_ALLOWED
 * await carol.close();
 */
export interface ConnectOptions {
  readonly socket?: string | undefined;
  readonly admin?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}
