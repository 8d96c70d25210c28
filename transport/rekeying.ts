import { equal } from '../base/bytes.ts';
import type { Instant } from '../base/time.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { InnerInitiation, InnerResponse } from '../wire/packet.ts';
import type { Attempt } from './attempt.ts';
import type { TunnelConfig } from './constants.ts';
import type { DropReason } from './drops.ts';
import type { HandshakeContext, KnownRecord } from './handshake.ts';
import { ResponderHandshake } from './handshake.ts';
import type { Initiator, SessionIds } from './initiator.ts';
import type { Session } from './session.ts';

/** What a handshake message inside the tunnel led to. */
export type RekeyOutcome =
  | { readonly kind: 'refused'; readonly reason: DropReason }
  /** To be sent in a HANDSHAKE frame; the session, where one was made, stands open for the peer. */
  | { readonly kind: 'answer'; readonly message: Uint8Array; readonly session?: Session; readonly known?: KnownRecord }
  /** Ours is complete; the peer has to be heard in it. */
  | { readonly kind: 'complete'; readonly session: Session; readonly known: KnownRecord };

/**
 * Replacing keys inside a live tunnel: when to begin, and both sides of the exchange (PROTOCOL.md §6). The messages go in
 * HANDSHAKE frames; sending goes on in the old session meanwhile.
 */
export class Rekeying {
  readonly #context: HandshakeContext & { readonly config: TunnelConfig };
  readonly #initiator: Initiator;
  readonly #ids: SessionIds;
  readonly #incarnation: Uint8Array;
  readonly #bucket: TokenBucket;
  #attempt: Attempt | undefined;
  /** The peer's initiation that we answered last, to answer its repetition alike until the peer is heard in that session. */
  #answered: Answered | undefined;

  constructor(options: RekeyingOptions, now: Instant) {
    this.#context = options.context;
    this.#initiator = options.initiator;
    this.#ids = options.ids;
    this.#incarnation = options.incarnation;
    const { rekeysPerSecond } = options.context.config;
    this.#bucket = new TokenBucket(rekeysPerSecond, rekeysPerSecond, now);
  }

  get isRunning(): boolean {
    return this.#attempt !== undefined;
  }

  /** How often the running one has been sent. */
  get sends(): number {
    return this.#attempt?.sends ?? 0;
  }

  isDue(session: Session, now: Instant): boolean {
    const { config } = this.#context;
    // The initiator first: if both always began at the same packet, every rekey would cross another.
    const share = session.initiatedLocally ? 1 : 9 / 8;
    return (
      Math.max(session.sealedPackets, session.openedPackets) >= config.rekeyAfterPackets * share ||
      Math.max(session.sealedBytes, session.openedBytes) >= config.rekeyAfterBytes * share ||
      (session.carriedTraffic && now - session.createdAt >= config.rekeyAfterTime * share)
    );
  }

  start(now: Instant): void {
    this.abandon();
    this.#attempt = this.#initiator.initiate('frame', now);
  }

  /** The initiation to send now, again or for the first time; `undefined` where none is running. */
  next(now: Instant): Uint8Array | undefined {
    if (this.#attempt?.isOver(now)) this.start(now);
    this.#attempt?.noteSent(0, now);
    return this.#attempt?.handshake.message;
  }

  answer(message: InnerInitiation, bytes: Uint8Array, state: RekeyState, now: Instant): RekeyOutcome {
    if (this.#answered !== undefined && equal(this.#answered.initiation, bytes)) {
      return { kind: 'answer', message: this.#answered.response };
    }
    // Both at once: the initiation from the lower identity key is answered, the other given up.
    if (this.#attempt !== undefined && this.#initiator.isLower) return refuse('unexpected');
    if (!this.#bucket.take(now)) return refuse('rate-limited');
    const handshake = ResponderHandshake.identify(this.#context, message);
    if (handshake.kind === 'refused') return refuse(handshake.reason);
    const outcome = this.#answerWith(handshake, message, state, now);
    handshake.wipe();
    if (outcome.kind !== 'answer') return outcome;
    this.#answered = { initiation: bytes.slice(), response: outcome.message, session: outcome.session };
    return outcome;
  }

  /** The peer has been heard in it: if it was ours to answer, the answer has arrived. */
  noteConfirmed(session: Session): void {
    if (this.#answered?.session === session) this.#answered = undefined;
  }

  #answerWith(handshake: ResponderHandshake, message: InnerInitiation, state: RekeyState, now: Instant): RekeyOutcome {
    const { peer } = this.#initiator;
    if (!equal(handshake.staticKey, peer.staticKey)) return refuse('wrong-peer');
    const request = handshake.readRequest(state.known);
    if (request.kind === 'refused') return refuse(request.reason);
    if (!equal(request.known.record.identityKey, peer.identityKey)) return refuse('wrong-peer');
    const continues = equal(request.incarnation, state.remoteIncarnation);
    if (!continues || request.generation <= state.highestGeneration) return refuse('unexpected');
    const localId = this.#ids.claim();
    const answer = handshake.respond({ form: 'frame', localId, incarnation: this.#incarnation });
    if (answer === undefined) {
      this.#ids.release(localId);
      return refuse('not-authentic');
    }
    this.abandon();
    const ids = { localId, remoteId: message.senderSession };
    const session = this.#initiator.sessionFor(ids, request.generation, answer, now);
    return { kind: 'answer', message: answer.message, session, known: request.known };
  }

  complete(message: InnerResponse, state: RekeyState, now: Instant): RekeyOutcome {
    const attempt = this.#attempt;
    if (attempt === undefined || attempt.localId !== message.receiverSession) return refuse('unexpected');
    // An answer costs us two Diffie-Hellman, right or wrong, and the peer may send any number of them.
    if (!this.#bucket.take(now)) return refuse('rate-limited');
    const established = attempt.handshake.complete(message, state.known);
    if (established.kind === 'refused') return refuse(established.reason);
    if (!equal(established.incarnation, state.remoteIncarnation)) return refuse('unexpected');
    this.#attempt = undefined;
    const session = this.#initiator.sessionFrom(attempt, established, now);
    return { kind: 'complete', session, known: established.known };
  }

  abandon(): void {
    if (this.#attempt !== undefined) this.#initiator.abandon(this.#attempt);
    this.#attempt = undefined;
  }
}

export interface RekeyingOptions {
  readonly context: HandshakeContext & { readonly config: TunnelConfig };
  readonly initiator: Initiator;
  readonly ids: SessionIds;
  readonly incarnation: Uint8Array;
}

interface Answered {
  readonly initiation: Uint8Array;
  readonly response: Uint8Array;
  readonly session: Session | undefined;
}

/** What the tunnel knows of its peer at that moment. */
export interface RekeyState {
  readonly remoteIncarnation: Uint8Array;
  readonly known: KnownRecord | undefined;
  readonly highestGeneration: number;
}

function refuse(reason: DropReason): RekeyOutcome {
  return { kind: 'refused', reason };
}
