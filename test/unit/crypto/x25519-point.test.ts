import { expect, it } from 'vitest';
import { randomBytes } from '../../../base/rng.ts';
import { nobleBackend } from '../../../crypto/noble.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { Secret } from '../../../crypto/secret.ts';
import { isLowOrder } from '../../../crypto/x25519-point.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { LOW_ORDER_POINTS } from '../../security/hostile.ts';

const rng = new SeededRng(1);
const pairs = [opensslBackend, nobleBackend].map((backend) => backend.x25519(new Secret(randomBytes(rng, 32))));

it('a key is of low order exactly where a Diffie-Hellman with it is all zero, whatever its highest bit', () => {
  const others: Uint8Array[] = [2, 3, 0xeb, 0xef].map((first) =>
    new Uint8Array(32).fill(first < 4 ? 0 : 0xff).fill(first, 0, 1),
  );
  for (let i = 0; i < 20; i++) others.push(randomBytes(rng, 32));
  for (const point of LOW_ORDER_POINTS) others.push(point.map((byte, i) => (i === 7 ? byte ^ 1 : byte)));
  for (const key of [...LOW_ORDER_POINTS, ...others]) {
    for (const highest of [0, 0x80]) {
      const either = key.map((byte, i) => (i === 31 ? (byte & 0x7f) | highest : byte));
      const isZero = pairs.map((pair) => pair.diffieHellman(either) === undefined);
      const isLow = isLowOrder(either);
      expect(isZero).toEqual([isLow, isLow]);
    }
  }
  expect(LOW_ORDER_POINTS.every(isLowOrder)).toBe(true);
  expect(others.some(isLowOrder)).toBe(false);
});
