import { socketToUse } from '../ipc/socket-path.ts';
import { DaemonAccess } from './daemon-access.ts';
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
  const { socket, admin = false, signal } = options;
  const environment = socket === undefined ? process.env : { WARREN_SOCKET: socket };
  let node: WarrenNode | undefined;
  const access = await DaemonAccess.connect(socketToUse(environment, admin ? 'admin' : 'app'), {
    signal,
    lost: (error) => node?.lost(error),
  });
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
