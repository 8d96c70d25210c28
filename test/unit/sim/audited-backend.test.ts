import { describe, expect, it } from 'vitest';
import { toHex } from '../../../base/bytes.ts';
import type { Aead } from '../../../crypto/backend.ts';
import { nobleBackend } from '../../../crypto/noble.ts';
import { auditBackend, NonceAudit } from '../../../sim/audited-backend.ts';
import { SimFailure } from '../../../sim/failure.ts';
import { SeededRng } from '../../../sim/rng.ts';

const KEY = new Uint8Array(32).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);
const TEXT = Uint8Array.of(1, 2, 3);

function counter(value: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(value));
  return nonce;
}

function seal(aead: Aead, nonce: Uint8Array): Uint8Array {
  const out = new Uint8Array(TEXT.length + 16);
  expect(aead.seal(nonce, new Uint8Array(0), TEXT, out)).toBe(out.length);
  return out;
}

describe('an audited backend', () => {
  it('seals and opens as the one inside', () => {
    const audited = auditBackend(nobleBackend);
    const sealed = seal(audited.aead(KEY), counter(0));
    expect(sealed).toEqual(seal(nobleBackend.aead(KEY), counter(0)));
    const opened = new Uint8Array(3);
    expect(audited.aead(KEY).open(counter(0), new Uint8Array(0), sealed, opened)).toBe(3);
    expect(opened).toEqual(TEXT);
    expect(audited.sha256(KEY)).toEqual(nobleBackend.sha256(KEY));
    expect([audited.audit.seals, audited.audit.keys]).toEqual([1, 1]);
  });

  it('finds a nonce repeated across two contexts of one key, and names the fingerprint but not the key', () => {
    const audited = auditBackend(nobleBackend);
    const key = Uint8Array.from({ length: 32 }, (_, i) => 7 * i + 3);
    seal(audited.aead(key), counter(5));
    seal(audited.aead(key), counter(6));
    const fingerprint = toHex(nobleBackend.sha256(key)).slice(0, 16);
    const again = audited.aead(key);
    expect(() => seal(again, counter(5))).toThrow(SimFailure);
    expect(() => seal(again, counter(5))).toThrow(`000000000000000000000005 was sealed twice`);
    expect(() => seal(again, counter(5))).toThrow(fingerprint);
    expect(() => seal(again, counter(5))).not.toThrow(toHex(key).slice(0, 8));
  });

  it('finds it across backends that share the audit, and not across those that do not', () => {
    const audit = new NonceAudit();
    seal(auditBackend(nobleBackend, audit).aead(KEY), counter(1));
    seal(auditBackend(nobleBackend).aead(KEY), counter(1));
    expect(() => seal(auditBackend(nobleBackend, audit).aead(KEY), counter(1))).toThrow('twice');
  });

  it('lets another key use the same nonce', () => {
    const audited = auditBackend(nobleBackend);
    seal(audited.aead(KEY), counter(1));
    seal(audited.aead(OTHER_KEY), counter(1));
    expect(audited.audit.keys).toBe(2);
  });

  it('does not mind opening twice', () => {
    const audited = auditBackend(nobleBackend);
    const aead = audited.aead(KEY);
    const sealed = seal(aead, counter(1));
    for (let i = 0; i < 3; i++) expect(aead.open(counter(1), new Uint8Array(0), sealed, new Uint8Array(3))).toBe(3);
  });
});

describe('a nonce audit', () => {
  it('agrees with a plain set, whatever the order of the counters', () => {
    const rng = new SeededRng(1);
    for (let round = 0; round < 50; round++) {
      const audit = new NonceAudit();
      const model = new Set<number>();
      for (let i = 0; i < 300; i++) {
        const value = rng.below(200);
        const record = (): void => audit.record('key', counter(value));
        if (model.has(value)) expect(record).toThrow('twice');
        else record();
        model.add(value);
      }
    }
  });

  it('knows nonces that are no counters, and counters around every edge', () => {
    const audit = new NonceAudit();
    const nonces = [
      ...[0, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 2 ** 32 - 1, 2 ** 53 - 2 ** 32, 2 ** 53 - 1, 2 ** 53].map(counter),
      new Uint8Array(12).fill(0xff),
      Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
      Uint8Array.of(0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    ];
    for (const nonce of nonces) audit.record('key', nonce);
    for (const nonce of nonces) expect(() => audit.record('key', nonce)).toThrow(toHex(nonce));
  });

  it('takes a million seals under many keys without trouble', () => {
    const audit = new NonceAudit();
    const nonce = new Uint8Array(12);
    const view = new DataView(nonce.buffer);
    for (let i = 0; i < 1_000_000; i++) {
      view.setUint32(8, i);
      audit.record(`key ${i % 100}`, nonce);
    }
    expect([audit.seals, audit.keys]).toEqual([1_000_000, 100]);
    expect(() => audit.record('key 99', nonce)).toThrow('twice');
  });
});
