import { compare } from '../base/bytes.ts';
import type { Instant } from '../base/time.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { GENERATION_MAX } from '../wire/handshake-payload.ts';
import { Attempt } from './attempt.ts';
import type { Established, HandshakeAnswer, HandshakeContext, HandshakeForm, PeerKeys } from './handshake.ts';
import { InitiatorHandshake } from './handshake.ts';
import { Session } from './session.ts';

/** Session ids, as the endpoint hands them out. */
export interface SessionIds {
  /** One that no other session here has. */
  claim(): number;
  release(id: number): void;
}

/**
 * Makes handshakes and sessions for one peer, and numbers them: every initiation of either side gets a higher generation than
 * any seen before, so that both sides order crossing sessions alike.
 */
export class Initiator {
  readonly peer: PeerKeys;
  /** Whether our identity key is the lower one. */
  readonly isLower: boolean;
  readonly #context: HandshakeContext;
  readonly #incarnation: Uint8Array;
  readonly #ids: SessionIds;
  #lastGeneration = 0;

  constructor(context: HandshakeContext, peer: PeerKeys, incarnation: Uint8Array, ids: SessionIds) {
    this.peer = peer;
    this.isLower = compare(context.identity.signing.publicKey, peer.identityKey) < 0;
    this.#context = context;
    this.#incarnation = incarnation;
    this.#ids = ids;
  }

  get crypto(): CryptoBackend {
    return this.#context.crypto;
  }

  initiate(form: HandshakeForm, now: Instant): Attempt {
    // At the end of the numbers, where only a lying peer leads, its own handshakes stop being accepted.
    this.#lastGeneration = Math.min(this.#lastGeneration + 1, GENERATION_MAX);
    const handshake = new InitiatorHandshake(this.#context, {
      peer: this.peer,
      form,
      localId: this.#ids.claim(),
      incarnation: this.#incarnation,
      generation: this.#lastGeneration,
    });
    return new Attempt(handshake, now);
  }

  abandon(attempt: Attempt): void {
    this.#ids.release(attempt.localId);
    attempt.handshake.wipe();
  }

  /** A session that anybody made with this peer. */
  note(generation: number): void {
    this.#lastGeneration = Math.max(this.#lastGeneration, generation);
  }

  /** The session that our own attempt became. */
  sessionFrom(attempt: Attempt, established: Established, now: Instant): Session {
    attempt.handshake.wipe();
    const { remoteId, generation, sealing, opening } = established;
    const initiated = { initiatedLocally: true, initiatedByLower: this.isLower };
    return new Session({ localId: attempt.localId, remoteId, generation, ...initiated, sealing, opening }, now);
  }

  /** The session that the peer's initiation became. */
  sessionFor(
    ids: { localId: number; remoteId: number },
    generation: number,
    answer: HandshakeAnswer,
    now: Instant,
  ): Session {
    this.note(generation);
    const initiated = { initiatedLocally: false, initiatedByLower: !this.isLower };
    return new Session({ ...ids, generation, ...initiated, sealing: answer.sealing, opening: answer.opening }, now);
  }
}
