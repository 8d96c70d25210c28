import { afterEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../crypto/identity.ts';
import type { Node, NodeEvent } from '../../daemon/node.ts';
import {
  closeAll,
  dial,
  introduce,
  LOOPBACK,
  MemoryStore,
  newIdentity,
  openNode,
  serve,
  take,
  type User,
  until,
} from '../daemon/node-support.ts';

/**
 * Who is in the peer book holds a valid identity and may say of itself what it likes, in as many records as it likes. What it says
 * must not lead anybody to it who asks for somebody else.
 */

afterEach(closeAll);

/** The names that alice goes by and knows others by, and whom each leads to. */
const NAMES = ['alice', 'bob', 'printer', 'mallory'] as const;
type Name = (typeof NAMES)[number];

class World {
  readonly store: MemoryStore = new MemoryStore();
  readonly identity: Identity = newIdentity();
  readonly events: NodeEvent[] = [];
  readonly hostile: Identity = newIdentity();
  alice!: Node;
  bob!: Node;
  /** Calls itself `carol`; alice calls it `printer`. */
  carol!: Node;
  mallory!: Node;
  #sequence = 1;

  static async open(): Promise<World> {
    const world = new World();
    await world.openAlice();
    world.bob = await openNode('bob');
    world.carol = await openNode('carol');
    world.mallory = await world.#openMallory('mallory');
    for (const peer of [world.bob, world.carol, world.mallory]) introduce(world.alice, peer);
    world.alice.addPeer({ record: world.carol.record(), endpoints: [], petname: 'printer' });
    return world;
  }

  async openAlice(): Promise<void> {
    const { identity, events, store } = this;
    this.alice = await openNode('alice', { identity, peers: store, log: (event) => events.push(event) });
  }

  /** Mallory says in a newer record that she is somebody else, and alice hears of it. */
  async claim(name: string): Promise<void> {
    await this.mallory.close();
    this.mallory = await this.#openMallory(name);
    await this.#showUp();
    await until(`alice has heard of ${name}`, () => this.alice.why(this.mallory.self.key).callsItself === name);
  }

  async restartAlice(): Promise<void> {
    await this.alice.close();
    await until('mallory has noticed', () => this.mallory.listPeers().every(({ connected }) => !connected));
    await this.openAlice();
    await this.#showUp();
  }

  keyOf(name: Name): string {
    const { alice, bob, carol, mallory } = this;
    return { alice, bob, printer: carol, mallory }[name].self.key;
  }

  #openMallory(name: string): Promise<Node> {
    return openNode(name, { identity: this.hostile, profile: { name, sequence: this.#sequence++ } });
  }

  async #showUp(): Promise<void> {
    const { alice, mallory } = this;
    mallory.addPeer({ record: alice.record(), endpoints: [`${LOOPBACK}:${alice.localPort}`], petname: 'victim' });
    await mallory.ping('victim', { timeout: 5_000 });
  }
}

function expectUnmoved(world: World): void {
  for (const name of NAMES) {
    expect(world.alice.resolve(name), name).toMatchObject({ name, key: world.keyOf(name) });
    expect(world.alice.why(name).key, name).toBe(world.keyOf(name));
  }
}

const unknown = expect.objectContaining({ code: 'ERR_WARREN_UNKNOWN_PEER' });
const taken = expect.objectContaining({ code: 'ERR_WARREN_NAME_TAKEN' });

describe('a peer in the book that renames itself', () => {
  it.each([
    ['another peer’s name', 'bob'],
    ['our own name', 'alice'],
    ['a petname', 'printer'],
    ['the name that a petname stands for', 'carol'],
    ['a name that nobody has', 'dave'],
    ['no name at all', ''],
  ])('to %s moves no name, and a restart moves none either', async (_, claimed) => {
    const world = await World.open();
    await world.claim(claimed);
    expectUnmoved(world);
    for (const name of ['carol', 'dave', '']) expect(() => world.alice.resolve(name), name).toThrow(unknown);
    await world.restartAlice();
    expectUnmoved(world);
    expect(world.alice.why('mallory').callsItself).toBe(claimed);
    for (const name of ['carol', 'dave', '']) expect(() => world.alice.resolve(name), name).toThrow(unknown);
  });

  it('gets none of the streams that are for the one whose name it claims', async () => {
    const world = await World.open();
    const { alice, bob } = world;
    await world.claim('bob');
    const [atBob, atMallory] = [serve(bob, 80), serve(world.mallory, 80)];
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    expect(near.end.peer).toEqual(bob.self);
    await until('bob has it', () => atBob.length === 1);
    expect(atMallory).toEqual([]);
  });

  it('is shown under the name that its owner knows, beside what it says', async () => {
    const world = await World.open();
    const came: User[] = [];
    world.alice.listen({ port: 80 }, (stream) => came.push(take(stream)));
    await world.claim('bob');
    await dial(world.mallory, 'victim', 80).word('connected');
    const shown = { ...world.mallory.self, name: 'mallory' };
    expect(came.map(({ end }) => end.peer)).toEqual([shown]);
    expect(world.alice.status().tunnels).toMatchObject([shown]);
    expect(world.alice.listPeers().find(({ key }) => key === shown.key)).toMatchObject({
      ...shown,
      callsItself: 'bob',
    });
    const told = world.events.filter(({ fields: { peer } }) => peer === shown.address);
    expect(told.map(({ event }) => event)).toContain('record-learned');
    expect(new Set(told.map(({ fields: { name } }) => name))).toEqual(new Set(['mallory']));
  });

  it('inherits nothing from the one whose name it claims when that one goes', async () => {
    const world = await World.open();
    await world.claim('bob');
    expect(world.alice.removePeer('bob')).toEqual(world.bob.self);
    expect(() => world.alice.resolve('bob')).toThrow(unknown);
    expect(() => world.alice.removePeer('bob')).toThrow(unknown);
    expect(world.alice.resolve('mallory').key).toBe(world.keyOf('mallory'));
  });

  it('keeps the one whose name it claims from nothing: that one can be added again', async () => {
    const world = await World.open();
    await world.claim('dave');
    const dave = await openNode('dave');
    introduce(world.alice, dave);
    expect(world.alice.resolve('dave')).toEqual(dave.self);
  });
});

describe('a record that claims the name of another', () => {
  it('is refused at the door, and what is known of its peer stays', async () => {
    const world = await World.open();
    const before = world.store.bytes;
    for (const name of ['bob', 'alice', 'printer']) {
      const stranger = await openNode(name);
      expect(() => world.alice.addPeer({ record: stranger.record(), endpoints: [] }), name).toThrow(taken);
      expect(() => world.alice.resolve(stranger.self.key), name).toThrow(unknown);
    }
    expect(world.store.bytes).toBe(before);
    await world.claim('bob');
    const learned = world.store.bytes;
    expect(() => world.alice.addPeer({ record: world.mallory.record(), endpoints: ['192.0.2.1:1'] })).toThrow(taken);
    expect(world.store.bytes).toBe(learned);
    expectUnmoved(world);
  });

  it('brings its peer in under a name that the owner chooses instead', async () => {
    const world = await World.open();
    await world.claim('bob');
    world.alice.addPeer({ record: world.mallory.record(), endpoints: [], petname: 'beware' });
    expect(world.alice.resolve('beware').key).toBe(world.keyOf('mallory'));
    expect(() => world.alice.resolve('mallory')).toThrow(unknown);
    expect(world.alice.resolve('bob')).toEqual(world.bob.self);
  });
});
