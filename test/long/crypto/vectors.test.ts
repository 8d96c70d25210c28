import { describe, expect, it } from 'vitest';
import { DIFFERENTIALS, runDifferential } from '../../../bench/vectors/differential.ts';
import type { SetReport } from '../../../bench/vectors/report.ts';
import { BACKENDS, SETS } from '../../../bench/vectors/sets.ts';
import { VECTORS_REQUIRED } from '../../../bench/vectors/shared-files.ts';
import type { CryptoBackend } from '../../../crypto/backend.ts';
import { nobleBackend } from '../../../crypto/noble.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';

const SEED = 7748;

describe.each(Object.entries(SETS))('%s', (set, run) => {
  it.for(BACKENDS)('agrees with $name', (backend, { skip }) => {
    const report = run(set, backend);
    if (report.isAbsent) {
      const why = `${report.note} is not in ../shared/vectors`;
      expect(VECTORS_REQUIRED, why).toBe(false);
      console.warn(`skipped: ${why}`);
      skip(why);
    }
    expect(report.failures).toEqual([]);
    expect(report.passed).toBeGreaterThan(0);
  });
});

describe('the two backends agree', () => {
  const cases = { aead: 10_000, x25519: 500, ed25519: 500 };

  it.each(DIFFERENTIALS)('on random cases of %s', (subject) => {
    const report = runDifferential({ subject, seed: SEED, from: 0, count: cases[subject] }, [
      opensslBackend,
      nobleBackend,
    ]);
    expect(report.failures).toEqual([]);
    expect(report.passed).toBe(cases[subject]);
  });

  it('case for case, however the work is cut up', () => {
    const drawn: string[] = [];
    const noting: CryptoBackend = {
      ...opensslBackend,
      aead(key) {
        drawn.push(Buffer.from(key).toString('hex'));
        return opensslBackend.aead(key);
      },
    };
    for (const range of [
      { from: 0, count: 4 },
      { from: 2, count: 1 },
    ]) {
      runDifferential({ subject: 'aead', seed: SEED, ...range }, [opensslBackend, noting]);
    }
    expect(drawn[4]).toBe(drawn[2]);
    expect(new Set(drawn).size).toBe(4);
  });
});

describe('a backend that is wrong is found out', () => {
  const failuresOf = (set: string, wrong: Partial<CryptoBackend>): readonly string[] =>
    (SETS[set]!(set, { ...opensslBackend, ...wrong, name: 'wrong' }) satisfies SetReport).failures;

  it('with set, backend and official case id', () => {
    const failures = failuresOf('rfc 4231 hmac', { hmacSha256: () => new Uint8Array(32) });
    expect(failures).toHaveLength(7);
    expect(failures[4]).toMatch(/^rfc 4231 hmac · wrong · case test case 5: mac is "00/);
  });

  it('where it throws', () => {
    const failures = failuresOf('rfc 5869 hkdf', {
      hkdfSha256: () => {
        throw new Error('out of order');
      },
    });
    expect(failures).toHaveLength(3);
    expect(failures[0]).toContain('case A.1: threw out of order');
  });

  it('where it takes signatures by a key of small order', () => {
    const failures = failuresOf('ed25519 edge cases', { ed25519Verify: () => true });
    expect(failures).toHaveLength(11);
    expect(failures[0]).toContain('an invalid signature is accepted');
  });

  it('where it opens what is not authentic', () => {
    const careless: CryptoBackend = {
      ...nobleBackend,
      name: 'careless',
      aead: (key) => {
        const aead = nobleBackend.aead(key);
        const length = (sealed: Uint8Array) => sealed.length - 16;
        return {
          seal: (...args) => aead.seal(...args),
          open: (nonce, aad, sealed, out) => Math.max(aead.open(nonce, aad, sealed, out), length(sealed)),
          wipe: () => aead.wipe(),
        };
      },
    };
    const report = runDifferential({ subject: 'aead', seed: SEED, from: 0, count: 5 }, [opensslBackend, careless]);
    expect(report.failures).toHaveLength(5);
    expect(report.failures[0]).toContain('careless overlooks a bit of the tag');
  });
});
