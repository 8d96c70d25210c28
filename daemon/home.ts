import { join } from 'node:path';
import { WarrenError } from '../base/errors.ts';
import type { Identity } from '../crypto/identity.ts';
import { opensslBackend } from '../crypto/openssl.ts';
import type { Secret } from '../crypto/secret.ts';
import type { ListenAddress } from './config-values.ts';
import { loadOrCreateIdentity } from './key-file.ts';
import { loadPort, PORT_FILE_BYTES_MAX, savePort } from './listen-port.ts';
import { NETWORK, Node, type NodeOptions } from './node.ts';
import { loadName, NAME_FILE_BYTES_MAX, saveName } from './own-name.ts';
import { StateFile } from './state-file.ts';
import { SystemRng } from './system-rng.ts';
import { BindError } from './udp-socket.ts';

const FILES = { identity: 'identity.json', peers: 'peers.json', port: 'udp-port', name: 'name' } as const;
/** What a home is made of, by name. */
export const HOME_FILES: readonly string[] = Object.values(FILES);
/** 4,096 peers, each with a record of 600 bytes and eight endpoints as text. */
const PEER_BOOK_BYTES_MAX: number = 32 * 2 ** 20;

/**
 * What a node has in its state directory: who it is, whom it knows, what it called itself, and where it was reached. A daemon's
 * and an embedded node's are the same, so that one can go on where the other stopped. For whoever holds the directory's lock.
 */
export interface Home {
  readonly identity: Identity;
  /** Whether it was made just now. */
  readonly created: boolean;
  readonly peers: StateFile;
  readonly port: StateFile;
  readonly name: StateFile;
}

export interface HomeOptions {
  readonly isHeld: () => boolean;
  /** Seals a new identity, opens a sealed one. Asked once, and what it gives is wiped. */
  readonly passphrase: () => Secret | undefined;
}

/** The caller wipes the identity. */
export function openHome(directory: string, { isHeld, passphrase: ask }: HomeOptions): Home {
  const passphrase = ask();
  try {
    const { identity, created } = loadOrCreateIdentity(join(directory, FILES.identity), {
      backend: opensslBackend,
      rng: new SystemRng(),
      network: NETWORK,
      passphrase,
    });
    return {
      identity,
      created,
      peers: new StateFile(directory, FILES.peers, { bytesMax: PEER_BOOK_BYTES_MAX, isHeld }),
      port: new StateFile(directory, FILES.port, { bytesMax: PORT_FILE_BYTES_MAX, isHeld }),
      name: new StateFile(directory, FILES.name, { bytesMax: NAME_FILE_BYTES_MAX, isHeld }),
    };
  } finally {
    passphrase?.wipe();
  }
}

export interface WhereToListen {
  /** What was asked for: there, or nowhere. */
  readonly listen: ListenAddress | undefined;
  /** Else the ports to try, the likeliest first, given that of the last time. The last of them is 0. */
  readonly portsToTry: (remembered: number | undefined) => readonly number[];
  readonly warn: (what: HomeTrouble, error: WarrenError) => void;
}

/** Port and name of the last time are of use and not of need: a node that cannot read them or write them down runs without. */
export type HomeTrouble = 'port-forgotten' | 'port-not-remembered' | 'name-forgotten' | 'name-not-remembered';

/** Opens the node of a home where it is to listen, and remembers the port and the name: a profile without one has the last. */
export async function openNodeAt(home: Home, where: WhereToListen, options: HomeNodeOptions): Promise<Node> {
  const lastName = attempt('name-forgotten', where, () => loadName(home.name)) ?? '';
  const name = options.profile?.name ?? lastName;
  const node = await openNode(home, where, { ...options, profile: { ...options.profile, name } });
  attempt('port-not-remembered', where, () => savePort(home.port, node.localPort));
  if (name !== lastName) attempt('name-not-remembered', where, () => saveName(home.name, name));
  return node;
}

/** What a home does not say. */
export type HomeNodeOptions = Omit<NodeOptions, 'identity' | 'peers'>;

async function openNode(home: Home, where: WhereToListen, options: HomeNodeOptions): Promise<Node> {
  const { identity, peers } = home;
  const openAt = (at: Partial<ListenAddress>): Promise<Node> =>
    Node.open({ ...options, identity, peers, udp: { ...options.udp, ...at } });
  if (where.listen !== undefined) return openAt(where.listen);
  const ports = where.portsToTry(attempt('port-forgotten', where, () => loadPort(home.port)));
  for (const port of ports.slice(0, -1)) {
    try {
      return await openAt({ port });
    } catch (error) {
      // In use; or a port of an earlier start under another user, who could have it.
      if (!(error instanceof BindError)) throw error;
    }
  }
  return openAt({ port: ports.at(-1)! });
}

function attempt<T>(what: HomeTrouble, { warn }: WhereToListen, step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error;
    warn(what, error);
    return undefined;
  }
}
