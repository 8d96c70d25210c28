import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../base/bytes.ts';
import {
  createIdentity,
  deriveAddress,
  firstCounter,
  identityFromSecrets,
  nextCounter,
  wipeIdentity,
  withNextAddress,
} from '../../../crypto/identity.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { BACKENDS, counting, goldenIdentity, shows, withNodes } from './fixtures.ts';
import { IDENTITY_KEY, NODES, STATIC_KEY } from './golden.ts';

describe.each(BACKENDS)('an identity, with %s', (_, backend) => {
  const key = fromHex(IDENTITY_KEY);

  it('has the keys and the address that the golden one has', () => {
    const identity = goldenIdentity(backend);
    expect(toHex(identity.signing.publicKey)).toBe(IDENTITY_KEY);
    expect(toHex(identity.exchange.publicKey)).toBe(STATIC_KEY);
    expect(identity.address).toEqual({ network: 7, node: NODES[0] });
    expect(identity.counter).toBe(0);
  });

  it('has an address that follows from its key and counter, and the same node in every network', () => {
    expect([0, 1, 2, 3].map((counter) => deriveAddress(backend, key, counter, 0)?.node)).toEqual(NODES);
    expect(deriveAddress(backend, key, 2, 65535)).toEqual({ network: 65535, node: NODES[2] });
  });

  it('is the same from the same randomness, and another from other', () => {
    const [a, b, c] = [1, 1, 2].map((seed) => createIdentity(backend, new SeededRng(seed), 3));
    expect(a!.address).toEqual(b!.address);
    expect(a!.signing.publicKey).toEqual(b!.signing.publicKey);
    expect(a!.exchange.publicKey).toEqual(b!.exchange.publicKey);
    expect(a!.signing.publicKey).not.toEqual(c!.signing.publicKey);
    expect(a!.address.network).toBe(3);
    expect(firstCounter(backend, a!.signing.publicKey)).toBe(a!.counter);
  });

  it('comes back from its secrets, counter and network', () => {
    const identity = createIdentity(backend, new SeededRng(4), 9);
    const again = identityFromSecrets(backend, identity.secrets, identity.counter, 9);
    expect(again?.address).toEqual(identity.address);
    expect(again?.signing.publicKey).toEqual(identity.signing.publicKey);
    expect(again?.exchange.publicKey).toEqual(identity.exchange.publicKey);
  });

  it('moves to its next address with the same keys', () => {
    const identity = goldenIdentity(backend);
    const moved = withNextAddress(backend, identity);
    expect(moved?.counter).toBe(1);
    expect(moved?.address).toEqual({ network: 7, node: NODES[1] });
    expect(moved?.signing).toBe(identity.signing);
    expect(moved?.exchange).toBe(identity.exchange);
  });

  it('shows its secrets to nobody who prints it', () => {
    const identity = createIdentity(backend, new SeededRng(5), 0);
    for (const secret of Object.values(identity.secrets)) {
      expect(shows({ plain: secret.expose() }, secret.expose())).toBe(true);
      expect(shows(identity, secret.expose())).toBe(false);
    }
  });

  it('forgets its secrets when wiped', () => {
    const identity = goldenIdentity(backend);
    wipeIdentity(identity);
    expect(identity.secrets.signingSeed.expose()).toEqual(new Uint8Array(32));
    expect(identity.secrets.exchangeSecret.expose()).toEqual(new Uint8Array(32));
  });
});

describe('the counter of an address', () => {
  const [, backend] = BACKENDS[0]!;
  const key = counting(0, 32);

  it.each([
    ['reserved', 0],
    ['reserved', 255],
    ['everybody', 0xffff_ffff],
  ])('skips a node that is %s: %i', (_, node) => {
    const skewed = withNodes(backend, (counter) => (counter < 3 ? node : 256));
    expect(deriveAddress(skewed, key, 0, 0)).toBeUndefined();
    expect(firstCounter(skewed, key)).toBe(3);
    expect(nextCounter(skewed, key, 0)).toBe(3);
    expect(createIdentity(skewed, new SeededRng(1), 0)).toMatchObject({ counter: 3, address: { node: 256 } });
  });

  it('gives no identity where it was kept for a node that is reserved', () => {
    const skewed = withNodes(backend, () => 7);
    expect(identityFromSecrets(skewed, goldenIdentity(backend).secrets, 0, 0)).toBeUndefined();
  });

  it('ends at 255', () => {
    expect(nextCounter(backend, key, 254)).toBe(255);
    expect(nextCounter(backend, key, 255)).toBeUndefined();
    const last = identityFromSecrets(backend, goldenIdentity(backend).secrets, 255, 0)!;
    expect(withNextAddress(backend, last)).toBeUndefined();
  });

  it('has no first value where every node is reserved', () => {
    const skewed = withNodes(backend, () => 0);
    expect(firstCounter(skewed, key)).toBeUndefined();
    expect(() => createIdentity(skewed, new SeededRng(1), 0)).toThrow('a key has an address');
  });
});
