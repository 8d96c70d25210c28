import { assert } from '../base/assert.ts';
import { ascii, equal, toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import { after, type Instant, instant, MILLISECOND, SECOND } from '../base/time.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { createIdentity, type Identity, wipeIdentity } from '../crypto/identity.ts';
import { isRecordError, signIdentityRecord } from '../crypto/records.ts';
import { Endpoint } from '../transport/endpoint.ts';
import { directRoute, type Route } from '../transport/route.ts';
import { ipEndpoint } from '../wire/ip-endpoint.ts';
import { encodeIdentityRecord } from '../wire/records.ts';
import { SystemRng } from './system-rng.ts';

/**
 * Two nodes in memory, with the backend that the daemon is going to use: a handshake, a stream, some bytes there and back, a
 * close. What does not work here, a cipher of the system's above all, would work with no peer either, so the daemon does not
 * start: ERR_WARREN_SELF_TEST.
 *
 * It has a use beside that. What runs for the first time V8 must compile first: this has been done when the first peer comes.
 */
export function selfTest(crypto: CryptoBackend): void {
  const rng = new SystemRng();
  const parties: Party[] = [];
  try {
    const near = new Party(crypto, rng, 1);
    parties.push(near);
    const far = new Party(crypto, rng, 2);
    parties.push(far);
    const answer = new SelfTest(near, far).run();
    if (answer !== undefined && equal(answer, QUESTION)) return;
  } catch (error) {
    throw failure(error instanceof Error ? error.message : String(error));
  } finally {
    for (const { identity } of parties) wipeIdentity(identity);
  }
  throw failure('what was sent did not come back');
}

const PORT = 7;
const QUESTION = ascii('is anybody there?');
/** Nothing is lost, so far fewer are needed. */
const ROUNDS_MAX = 100;

class SelfTest {
  readonly #near: Party;
  readonly #far: Party;
  #now: Instant = START;
  #answer: Uint8Array | undefined;

  constructor(near: Party, far: Party) {
    this.#near = near;
    this.#far = far;
    far.endpoint.listen(PORT);
  }

  /** What came back, if anything. */
  run(): Uint8Array | undefined {
    const { endpoint } = this.#near;
    const { key, keys, route } = this.#far;
    endpoint.connect(keys, [route], this.#now);
    const stream = endpoint.openStream(key, { source: PORT, destination: PORT }, 1, this.#now);
    if (typeof stream !== 'number') return undefined;
    endpoint.writeStream(key, stream, QUESTION, this.#now);
    endpoint.finishStream(key, stream, this.#now);
    this.#exchange();
    endpoint.close(key, 'NO_ERROR', '', this.#now);
    this.#exchange();
    return this.#answer;
  }

  /** Until neither has anything to say. */
  #exchange(): void {
    const [near, far] = [this.#near, this.#far];
    for (let round = 0, isQuiet = false; round < ROUNDS_MAX && !isQuiet; round++) {
      this.#now = after(this.#now, MILLISECOND);
      isQuiet = ![this.#carry(near, far), this.#carry(far, near)].includes(true);
    }
  }

  /** What one has to send, to the other; whether there was anything. */
  #carry(from: Party, to: Party): boolean {
    const now = this.#now;
    if (from.endpoint.nextTimeout() <= now) from.endpoint.handleTimeout(now);
    let isAnything = false;
    for (let next = from.send(now); next !== undefined; next = from.send(now)) {
      to.endpoint.handleDatagram(from.route, next, now);
      isAnything = true;
    }
    this.#hear(to, from.key);
    return isAnything;
  }

  #hear({ endpoint }: Party, peer: string): void {
    const now = this.#now;
    while (endpoint.pollEvent() !== undefined);
    for (let event = endpoint.pollStreamEvent(); event !== undefined; event = endpoint.pollStreamEvent()) {
      if (event.kind === 'opened') endpoint.acceptStream(peer, event.stream, PORT, now);
      if (event.kind !== 'readable') continue;
      const bytes = endpoint.readStream(peer, event.stream, now);
      if (bytes === undefined) continue;
      if (endpoint === this.#near.endpoint) {
        this.#answer = bytes;
        continue;
      }
      endpoint.writeStream(peer, event.stream, bytes, now);
      endpoint.finishStream(peer, event.stream, now);
    }
  }
}

class Party {
  readonly identity: Identity;
  readonly endpoint: Endpoint;
  readonly key: string;
  readonly route: Route;
  readonly #buffer: Uint8Array = new Uint8Array(BUFFER_BYTES);

  constructor(crypto: CryptoBackend, rng: Rng, port: number) {
    const identity = createIdentity(crypto, rng, 0);
    const record = signIdentityRecord(identity, { sequence: 1, name: '', tags: [], capabilities: [], homes: [] });
    assert(!isRecordError(record), 'a record that says little is valid');
    this.identity = identity;
    this.key = toHex(identity.signing.publicKey);
    this.route = directRoute(0, ipEndpoint(Uint8Array.of(127, 0, 0, 1), port));
    const own = { crypto, rng, identity, record: encodeIdentityRecord(record) };
    this.endpoint = new Endpoint({ ...own, admit: () => true }, START);
  }

  get keys(): { readonly identityKey: Uint8Array; readonly staticKey: Uint8Array } {
    return { identityKey: this.identity.signing.publicKey, staticKey: this.identity.exchange.publicKey };
  }

  /** A copy, since it is opened where it stands. */
  send(now: Instant): Uint8Array | undefined {
    const transmit = this.endpoint.pollTransmit(this.#buffer, now);
    return transmit && this.#buffer.slice(0, transmit.length);
  }
}

const START = instant(SECOND);
/** As much as `pollTransmit` may write. */
const BUFFER_BYTES = 65_536;

function failure(why: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_SELF_TEST',
    `two nodes inside this daemon cannot talk to each other: ${why}`,
    'Install Node.js anew; where it starts with --offload off, its OpenSSL is only not one that warren can call directly.',
  );
}
