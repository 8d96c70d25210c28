import { describe, expect, it } from 'vitest';
import { equal } from '../../base/bytes.ts';
import { instant, MILLISECOND, SECOND } from '../../base/time.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { simAddress } from '../../sim/address.ts';
import { SwarmDraw } from '../../sim/campaigns/swarm-draw.ts';
import { AmplificationCheck } from '../../sim/checks/amplification.ts';
import { NodeChecks } from '../../sim/checks/node-checks.ts';
import { corrupt } from '../../sim/corruption.ts';
import { Happenings } from '../../sim/happenings.ts';
import { Link } from '../../sim/link.ts';
import { LinkFaults } from '../../sim/link-faults.ts';
import { SeededRng } from '../../sim/rng.ts';
import type { WireEvent } from '../../sim/wire-event.ts';
import { World } from '../../sim/world.ts';

const stranger = simAddress('10.6.6.6', 666);
const node = simAddress('10.0.0.1', 4440);

function event(fate: 'sent' | 'delivered', bytes: number): WireEvent {
  const [from, to] = fate === 'sent' ? [node, stranger] : [stranger, node];
  const [fromHost, toHost] = fate === 'sent' ? ['n0', 'x'] : ['x', 'n0'];
  const rest = { time: instant(0), cause: undefined, id: 1, origin: 'original', corruption: undefined } as const;
  return { ...rest, fate, from, to, fromHost, toHost, bytes: new Uint8Array(bytes) };
}

describe('what the swarm is checked by', () => {
  it('three times what came from an address may go there, and not a byte more', () => {
    const check = new AmplificationCheck(stranger.key);
    check.datagram(event('delivered', 100));
    check.datagram(event('sent', 300));
    expect(() => check.datagram(event('sent', 1))).toThrow(/I6: n0 has sent 301 bytes/);
  });

  it('a node that takes a datagram twice, or a broken one, is found out', () => {
    const checks = new NodeChecks();
    const world = new World({ seed: 1, crypto: opensslBackend, watch: checks });
    const { endpoint } = world.addPeer('a').node;
    const bytes = new Uint8Array([0x13]);
    const announce = (id: number, isBroken: boolean): void =>
      checks.inert.datagram({
        ...event('delivered', 1),
        id,
        corruption: isBroken ? 'bit' : undefined,
      });
    const taken = (): void => {};
    const dropped = (): void => endpoint.drops.add('replayed');
    announce(1, false);
    checks.datagram(endpoint, bytes, taken);
    announce(1, false);
    checks.datagram(endpoint, bytes, dropped);
    announce(1, false);
    expect(() => checks.datagram(endpoint, bytes, taken)).toThrow(/I4: a datagram that came before was taken/);
    announce(2, true);
    expect(() => checks.datagram(endpoint, bytes, taken)).toThrow(/I4: a broken datagram was taken/);
    // Turned away once, it is still new.
    announce(3, false);
    checks.datagram(endpoint, bytes, dropped);
    announce(3, false);
    checks.datagram(endpoint, bytes, taken);
    expect(checks.inert.inert).toBe(3);
  });

  it('a splice is neither of the two that it was made of', () => {
    const rng = new SeededRng(1);
    for (let i = 0; i < 1_000; i++) {
      // Alike but for the last bytes, as two packets of one session are.
      const earlier = new Uint8Array(40).fill(7, 36);
      const bytes = new Uint8Array(40).fill(9, 36);
      const broken = corrupt({ bytes: bytes.slice(), kind: 'splice', earlier }, rng).bytes;
      expect(equal(broken, earlier) || equal(broken, bytes)).toBe(false);
    }
  });
});

describe('what befalls links', () => {
  it('a clog lets nothing land before it ends, and then everything in the order it was sent', () => {
    const heldUntil = instant(3 * SECOND);
    const link = new Link<number>(new SeededRng(1), { heldUntil });
    const at = (time: number): readonly number[] =>
      link.send(new Uint8Array(10), 0, instant(time)).deliveries.map((delivery) => delivery.at);
    expect(at(0)).toEqual([heldUntil]);
    expect(at(2 * SECOND)).toEqual([heldUntil]);
    expect(at(3 * SECOND)).toEqual([3 * SECOND + MILLISECOND]);
  });

  it('a link that was cut twice is up when the later cut ends', () => {
    const world = new World({ seed: 1, crypto: opensslBackend });
    const [a, b] = [world.addPeer('a'), world.addPeer('b')];
    const { network } = world;
    const faults = new LinkFaults(network, new Happenings());
    faults.cut(a, b, 2 * SECOND);
    faults.cutBoth(a, b, 5 * SECOND);
    network.runUntil(instant(3 * SECOND));
    expect(network.linkConfig('a', 'b').down).toBe(true);
    network.runUntil(instant(5 * SECOND));
    expect(network.linkConfig('a', 'b').down).toBe(false);
    expect(network.linkConfig('b', 'a').down).toBe(false);
  });

  it('the nodes of a world are not all alike', () => {
    const controllers = new Set<string | undefined>();
    const draw = new SwarmDraw(1);
    for (let i = 0; i < 20; i++) controllers.add(draw.config().congestion);
    expect(controllers).toEqual(new Set(['AIMD', 'CUBIC', 'BBR']));
  });
});
