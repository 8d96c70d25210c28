import { assert } from '../base/assert.ts';
import { toHex } from '../base/bytes.ts';
import { AEAD_NONCE_BYTES, type CryptoBackend } from '../crypto/backend.ts';
import { SimFailure } from './failure.ts';

/**
 * Invariant I3: no (key, nonce) pair is sealed twice in a run, whichever context, host or restart does it. The audit knows a key
 * by its fingerprint, so two contexts of one key share a ledger, and it throws before the second seal happens.
 *
 * Exact and cheap: nonces that are counters (four zero bytes, then a number below 2^53, as Noise and the data packets have them)
 * are kept as a set of intervals, which stays one interval for as long as they count up; any other nonce is kept as it is.
 */
export class NonceAudit {
  readonly #ledgers = new Map<string, Ledger>();
  #seals = 0;

  /** Pairs seen. */
  get seals(): number {
    return this.#seals;
  }

  get keys(): number {
    return this.#ledgers.size;
  }

  /** Throws where this nonce was sealed under this key before. */
  record(fingerprint: string, nonce: Uint8Array): void {
    this.ledger(fingerprint).record(nonce);
  }

  /** For a context that seals often under one key. */
  ledger(fingerprint: string): { record(nonce: Uint8Array): void } {
    const ledger = this.#ledger(fingerprint);
    return {
      record: (nonce): void => {
        this.#seals++;
        if (ledger.add(nonce)) return;
        const key = fingerprint.slice(0, 16);
        throw new SimFailure(`nonce ${toHex(nonce)} was sealed twice under the key with fingerprint ${key}`);
      },
    };
  }

  #ledger(fingerprint: string): Ledger {
    let ledger = this.#ledgers.get(fingerprint);
    if (ledger === undefined) {
      if (this.#ledgers.size === AUDIT_KEYS_MAX) throw new SimFailure(`more than ${AUDIT_KEYS_MAX} keys to audit`);
      ledger = new Ledger();
      this.#ledgers.set(fingerprint, ledger);
    }
    return ledger;
  }
}

/** A backend with every seal audited. */
export interface AuditedBackend extends CryptoBackend {
  readonly audit: NonceAudit;
}

/** Backends that share one audit are checked against each other. */
export function auditBackend(inner: CryptoBackend, audit: NonceAudit = new NonceAudit()): AuditedBackend {
  return {
    ...inner,
    name: `${inner.name}, audited`,
    audit,
    aead: (key) => {
      // Half of the digest is enough to tell keys apart and says nothing about them.
      const ledger = audit.ledger(toHex(inner.sha256(key).subarray(0, 16)));
      const aead = inner.aead(key);
      return {
        seal(nonce, aad, plaintext, out, start, length): number {
          ledger.record(nonce);
          return aead.seal(nonce, aad, plaintext, out, start, length);
        },
        open: (nonce, aad, sealed, out, start, length): number => aead.open(nonce, aad, sealed, out, start, length),
        wipe: (): void => aead.wipe(),
      };
    },
  };
}

/** Far above what a run makes; a run that gets here leaks keys. */
export const AUDIT_KEYS_MAX = 1_000_000;

/** The nonces sealed under one key. */
class Ledger {
  /** Disjoint, ascending, never touching: [start, end) pairs, flat. */
  readonly #intervals: number[] = [];
  /** Nonces that are no counters, in hex. */
  #others: Set<string> | undefined;

  /** False where it is here already. */
  add(nonce: Uint8Array): boolean {
    assert(nonce.length === AEAD_NONCE_BYTES, 'a nonce has 12 bytes');
    const counter = counterOf(nonce);
    if (counter !== undefined) return this.#addCounter(counter);
    const text = toHex(nonce);
    this.#others ??= new Set();
    if (this.#others.has(text)) return false;
    this.#others.add(text);
    return true;
  }

  #addCounter(counter: number): boolean {
    const intervals = this.#intervals;
    const last = intervals.length - 1;
    // Counting up is the common case: the last interval grows.
    if (last > 0 && intervals[last] === counter) {
      intervals[last] = counter + 1;
      return true;
    }
    // `at` is the first interval that starts after the counter, `at - 2` the only one that can hold it.
    let low = 0;
    let high = intervals.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (intervals[2 * middle]! <= counter) low = middle + 1;
      else high = middle;
    }
    const at = 2 * low;
    if (at > 0 && counter < intervals[at - 1]!) return false;
    const joinsBefore = at > 0 && intervals[at - 1] === counter;
    const joinsAfter = at < intervals.length && intervals[at] === counter + 1;
    if (joinsBefore && joinsAfter) intervals.splice(at - 1, 2);
    else if (joinsBefore) intervals[at - 1] = counter + 1;
    else if (joinsAfter) intervals[at] = counter;
    else intervals.splice(at, 0, counter, counter + 1);
    return true;
  }
}

/** The number a counter nonce carries; `undefined` for any other nonce. */
function counterOf(nonce: Uint8Array): number | undefined {
  if ((nonce[0]! | nonce[1]! | nonce[2]! | nonce[3]!) !== 0) return undefined;
  const high = ((nonce[4]! << 24) | (nonce[5]! << 16) | (nonce[6]! << 8) | nonce[7]!) >>> 0;
  // The end of an interval must be a safe integer as well.
  if (high >= 2 ** 21 - 1) return undefined;
  return high * 2 ** 32 + (((nonce[8]! << 24) | (nonce[9]! << 16) | (nonce[10]! << 8) | nonce[11]!) >>> 0);
}
