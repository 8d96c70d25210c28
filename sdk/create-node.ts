import { createSocket, type Socket } from 'node:dgram';
import { join } from 'node:path';
import { createIdentity, type Identity, wipeIdentity } from '../crypto/identity.ts';
import { opensslBackend } from '../crypto/openssl.ts';
import { parseListenAddress } from '../daemon/config-values.ts';
import { DirectoryLock } from '../daemon/directory-lock.ts';
import { loadOrCreateIdentity } from '../daemon/key-file.ts';
import { Node, type PeerStore } from '../daemon/node.ts';
import { openOwnDirectory } from '../daemon/own-directory.ts';
import { StateFile } from '../daemon/state-file.ts';
import { SystemRng } from '../daemon/system-rng.ts';
import { misuse } from './errors.ts';
import { HostAccess } from './host-access.ts';
import { Liveness } from './liveness.ts';
import { WarrenNode } from './node.ts';
import type { NewPeer } from './types.ts';

/** The one network there is. */
const NETWORK = 0;
/** As much as a daemon's. */
const PEER_BOOK_BYTES_MAX: number = 32 * 2 ** 20;

/**
 * A node in this process, with a UDP socket of its own and no daemon. It keeps the process alive only while a port or a stream of
 * it is open; a process that ends without `close()` leaves its peers to find out.
 *
 * @example
 * const carol = await createNode({ name: 'carol', listen: '127.0.0.1:0' });
 * await alice.addPeer({ record: await carol.record(), endpoints: [`127.0.0.1:${(await carol.status()).udp.port}`] });
 * await carol.addPeer({ record: await alice.record() });
 * console.log((await alice.ping('carol')).roundTrip > 0); // true
 * await carol.close();
 */
export async function createNode(options: CreateNodeOptions = {}): Promise<WarrenNode> {
  const { name, listen, state, peers = [] } = options;
  const udp = listen === undefined ? {} : parseListen(listen);
  const home = state === undefined ? newHome() : await openHome(state);
  try {
    let socket!: Socket;
    const node = await Node.open({
      identity: home.identity,
      profile: name === undefined ? {} : { name },
      peers: home.peers,
      udp: {
        ...udp,
        createSocket: (kind) => {
          socket = createSocket(kind);
          return socket;
        },
      },
    });
    const access = new HostAccess(node, new Liveness(socket), async () => {
      await node.close();
      home.close();
    });
    const made = WarrenNode.over(access);
    try {
      for (const peer of peers) await made.addPeer(peer);
    } catch (error) {
      await node.close();
      throw error;
    }
    return made;
  } catch (error) {
    home.close();
    throw error;
  }
}

/**
 * What a node in this process is to be. `name` is what it calls itself. `listen` is its UDP address, as `[::]:4440` for every
 * address or `192.0.2.1:0` for any free port; any free port of every address where it is left out. With `state`, a directory of its
 * own, it has the same identity and the same peers the next time; without, it is somebody new. `peers` are added at once.
 *
 * @example
 * const peers = [{ record: await alice.record(), petname: 'friend' }];
 * const carol = await createNode({ listen: '127.0.0.1:0', peers });
 * console.log((await carol.resolve('friend')).key === alice.key); // true
 * await carol.close();
 */
export interface CreateNodeOptions {
  readonly name?: string | undefined;
  readonly listen?: string | undefined;
  readonly state?: string | undefined;
  readonly peers?: readonly NewPeer[] | undefined;
}

/** Who a node is and where it remembers its peers, until it is closed. */
interface Home {
  readonly identity: Identity;
  readonly peers?: PeerStore;
  close(): void;
}

function newHome(): Home {
  const identity = createIdentity(opensslBackend, new SystemRng(), NETWORK);
  return { identity, close: () => wipeIdentity(identity) };
}

/** As a daemon has it, and not while one does. */
async function openHome(state: string): Promise<Home> {
  const { path } = openOwnDirectory(state, 'state directory');
  const lock = await DirectoryLock.acquire(path, 'state directory');
  try {
    const { identity } = loadOrCreateIdentity(join(path, 'identity.json'), {
      backend: opensslBackend,
      rng: new SystemRng(),
      network: NETWORK,
    });
    const isHeld = (): boolean => lock.isHeld();
    return {
      identity,
      peers: new StateFile(path, 'peers.json', { bytesMax: PEER_BOOK_BYTES_MAX, isHeld }),
      close: () => {
        wipeIdentity(identity);
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function parseListen(text: string): { readonly host: string | undefined; readonly port: number } {
  const parsed = parseListenAddress(text);
  if (parsed !== undefined) return parsed.value;
  throw misuse(
    'that is no address to listen on',
    'an IP address and a port, as [::]:4440 for every address or 192.0.2.1:0 for any free port',
  );
}
