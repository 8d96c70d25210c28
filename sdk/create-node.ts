import { createSocket, type Socket } from 'node:dgram';
import { WarrenError } from '../base/errors.ts';
import { createIdentity, type Identity, wipeIdentity } from '../crypto/identity.ts';
import { opensslBackend } from '../crypto/openssl.ts';
import { parseListenAddress } from '../daemon/config-values.ts';
import { NETWORK, Node } from '../daemon/node.ts';
import { SystemRng } from '../daemon/system-rng.ts';
import { version } from '../daemon/version.ts';
import { CREATE_NODE_OPTIONS, checkNewPeer, checkOptions } from './arguments.ts';
import { misuse, warn } from './errors.ts';
import { HostAccess } from './host-access.ts';
import { Liveness } from './liveness.ts';
import { WarrenNode } from './node.ts';
import type { Origin } from './origin.ts';
import type { NewPeer } from './types.ts';

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
  checkOptions('createNode', options, CREATE_NODE_OPTIONS);
  const { name, listen, state, mtu, offload, peers = [] } = options;
  for (const [index, peer] of peers.entries()) checkNewPeer('createNode', `peers[${index}]`, peer);
  requireOnePassphrase(options);
  // Of what a directory takes, a program without one has nothing in memory.
  const origin =
    state === undefined ? newOrigin() : await (await import('./state-origin.ts')).openState(state, options);
  let socket!: Socket;
  let node: Node | undefined;
  try {
    node = await origin.open(listen === undefined ? undefined : parseListenAddress(listen)?.value, {
      profile: name === undefined ? {} : { name },
      version: version(),
      config: mtu === undefined ? {} : { mtuMax: mtu },
      offload,
      log: ({ event, fields: { error } }) => {
        if (event === 'endpoint-left-out' && error instanceof WarrenError) warn(event, error);
      },
      udp: {
        createSocket: (kind) => {
          socket = createSocket(kind);
          return socket;
        },
      },
    });
    for (const { record, endpoints = [], petname } of peers) node.addPeer({ record, endpoints, petname });
  } catch (error) {
    await node?.close();
    origin.undo();
    throw error;
  }
  const opened = node;
  const close = async (): Promise<void> => {
    await opened.close();
    origin.close();
  };
  return WarrenNode.over(new HostAccess(opened, new Liveness(socket), close));
}

/**
 * What a node in this process is to be. `name` is what it calls itself. `listen` is its UDP address, as `[::]:4440` for every
 * address or `192.0.2.1:0` for any free port; any free port of every address where it is left out. `peers` are added at once.
 *
 * With `state`, a directory of its own, it is the same node the next time: with its identity, its peers and, where it is not
 * told otherwise, its name and UDP port; without, it is somebody new. The directory is like a daemon's, which may have it while this
 * node does not. A passphrase, as text or as the first line of a file, seals the identity there, and is needed again to open it.
 *
 * `mtu` is the largest packet to try, 1,200 to 65,507 bytes and the latter where it is left out; what a path carries is found by search. With
 * `offload: false` the node does without the help of the system that makes it fast.
 *
 * @example
 * import { mkdtemp, rm } from 'node:fs/promises';
 * const state = await mkdtemp('/tmp/carol-');
 * const peers = [{ record: await alice.record(), petname: 'friend' }];
 * const first = await createNode({ name: 'carol', state, passphrase: 'open sesame', peers });
 * const { udp } = await first.status();
 * await first.close();
 *
 * const again = await createNode({ state, passphrase: 'open sesame' });
 * console.log(again.name, again.key === first.key); // carol true
 * console.log((await again.status()).udp.port === udp.port); // true
 * console.log((await again.resolve('friend')).key === alice.key); // true
 * await again.close();
 *
 * const error = await createNode({ state }).catch((error) => error);
 * console.log(error.code); // ERR_WARREN_KEY_FILE_SEALED
 * await rm(state, { recursive: true });
 */
export interface CreateNodeOptions {
  readonly name?: string | undefined;
  readonly listen?: string | undefined;
  readonly state?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly passphraseFile?: string | undefined;
  readonly peers?: readonly NewPeer[] | undefined;
  readonly mtu?: number | undefined;
  readonly offload?: boolean | undefined;
}

function newOrigin(): Origin {
  const identity: Identity = createIdentity(opensslBackend, new SystemRng(), NETWORK);
  const close = (): void => wipeIdentity(identity);
  return {
    open: (listen, options) => Node.open({ ...options, identity, udp: { ...options.udp, ...listen } }),
    close,
    undo: close,
  };
}

function requireOnePassphrase({ state, passphrase, passphraseFile }: CreateNodeOptions): void {
  if (passphrase === undefined && passphraseFile === undefined) return;
  if (state === undefined) {
    throw misuse(
      'createNode: there is a passphrase, but no state, and so nothing that it could seal',
      'give the state directory too, or no passphrase',
    );
  }
  if (passphrase !== undefined && passphraseFile !== undefined) {
    throw misuse('createNode: there are two passphrases', 'give passphrase or passphraseFile, not both');
  }
}
