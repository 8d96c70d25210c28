import { afterEach, describe, expect, it } from 'vitest';
import { DATAGRAM_BYTES_MAX, SELF_DATAGRAMS_MAX } from '../../daemon/datagrams.ts';
import type { Node } from '../../daemon/node.ts';
import type { DatagramBinding, HostDatagram } from '../../ipc/host.ts';
import { DATAGRAMS_QUEUED_MAX } from '../../transport/constants.ts';
import { closeAll, LOOPBACK, openNode, pair, text, until } from './node-support.ts';

afterEach(closeAll);

interface Box {
  readonly binding: DatagramBinding;
  readonly got: HostDatagram[];
  readonly texts: string[];
}

function bind(node: Node, port: number): Box {
  const got: HostDatagram[] = [];
  const texts: string[] = [];
  const binding = node.bind(port, (datagram) => {
    got.push(datagram);
    texts.push(Buffer.from(datagram.data).toString());
  });
  return { binding, got, texts };
}

describe('datagrams', () => {
  it('arrive at the port they were sent to, and nowhere else, with their sender', async () => {
    const { alice, bob } = await pair();
    const from = bind(alice, 0);
    const [here, there] = [bind(bob, 5_000), bind(bob, 5_001)];
    from.binding.send('bob', 5_001, text('grüße'));
    await until('it arrives', () => there.got.length > 0);
    expect(there.texts).toEqual(['grüße']);
    expect(there.got[0]).toMatchObject({ peer: alice.self, port: from.binding.port });
    expect(here.got).toEqual([]);
    there.binding.send('alice', there.got[0]!.port, text('same to you'));
    await until('the answer arrives', () => from.got.length > 0);
    expect(from.texts).toEqual(['same to you']);
  });

  it('arrive in order where nothing is lost', async () => {
    const { alice, bob } = await pair();
    const to = bind(bob, 5_000);
    const from = bind(alice, 0);
    await alice.ping('bob', { timeout: 5_000 });
    for (let i = 0; i < 300; i++) from.binding.send('bob', 5_000, text(`${i}`));
    await until('all have arrived', () => to.got.length === 300);
    expect(to.texts).toEqual(Array.from({ length: 300 }, (_, i) => `${i}`));
  });

  it('are the sender’s again at once', async () => {
    const { alice, bob } = await pair();
    const to = bind(bob, 5_000);
    const data = text('before');
    bind(alice, 0).binding.send('bob', 5_000, data);
    data.fill(0);
    await until('it arrives', () => to.got.length > 0);
    expect(to.texts).toEqual(['before']);
  });

  it('for a port that nobody has bound are counted', async () => {
    const { alice, bob } = await pair();
    bind(alice, 0).binding.send('bob', 5_000, text('hello?'));
    await until('it has come', () => bob.status().drops['unbound-port'] === 1);
  });

  it('are as long as every path carries, and no longer', async () => {
    const { alice, bob } = await pair();
    const to = bind(bob, 5_000);
    const { binding } = bind(alice, 0);
    binding.send('bob', 5_000, new Uint8Array(DATAGRAM_BYTES_MAX));
    await until('it arrives', () => to.got.length > 0);
    expect(to.got[0]!.data.length).toBe(DATAGRAM_BYTES_MAX);
    const tooLarge = expect.objectContaining({ code: 'ERR_WARREN_DATAGRAM_TOO_LARGE' });
    for (const peer of ['bob', 'alice']) {
      expect(() => binding.send(peer, 5_000, new Uint8Array(DATAGRAM_BYTES_MAX + 1))).toThrow(tooLarge);
    }
  });

  it('wait for a name to be looked up, the newest of them', async () => {
    let answer: (addresses: readonly string[]) => void = () => undefined;
    const looked = new Promise<readonly string[]>((resolve) => {
      answer = resolve;
    });
    const alice = await openNode('alice', { lookup: () => looked });
    const bob = await openNode('bob');
    alice.addPeer({ record: bob.record(), endpoints: [`bob.example:${bob.localPort}`] });
    bob.addPeer({ record: alice.record(), endpoints: [] });
    const to = bind(bob, 5_000);
    const from = bind(alice, 0);
    for (let i = 0; i < DATAGRAMS_QUEUED_MAX + 10; i++) from.binding.send('bob', 5_000, text(`${i}`));
    answer([LOOPBACK]);
    await until('they arrive', () => to.got.length === DATAGRAMS_QUEUED_MAX);
    expect(to.texts[0]).toBe('10');
  });

  it('to oneself go round, on a later turn, the newest of too many', async () => {
    const node = await openNode('alice');
    const to = bind(node, 5_000);
    const from = bind(node, 5_001);
    for (let i = 0; i < SELF_DATAGRAMS_MAX + 5; i++) from.binding.send('alice', 5_000, text(`${i}`));
    expect(to.got).toEqual([]);
    await until('they arrive', () => to.got.length > 0);
    expect(to.got.length).toBe(SELF_DATAGRAMS_MAX);
    expect(to.texts[0]).toBe('5');
    expect(to.got[0]).toMatchObject({ peer: node.self, port: 5_001 });
  });

  it('are refused where the peer or the port is none, and a port is one program’s', async () => {
    const node = await openNode('alice');
    const { binding } = bind(node, 5_000);
    expect(() => binding.send('nobody', 5_000, text('x'))).toThrow(
      expect.objectContaining({ code: 'ERR_WARREN_UNKNOWN_PEER' }),
    );
    expect(() => binding.send('alice', 0, text('x'))).toThrow(expect.objectContaining({ code: 'ERR_WARREN_ARGUMENT' }));
    expect(() => bind(node, 5_000)).toThrow(expect.objectContaining({ code: 'ERR_WARREN_PORT_TAKEN' }));
    binding.close();
    binding.send('alice', 5_000, text('nothing happens'));
    bind(node, 5_000).binding.close();
    // Streams and datagrams have ports of their own.
    node.listen({ port: 5_000 }, () => undefined);
  });
});
