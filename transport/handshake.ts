import { assert } from '../base/assert.ts';
import { equal } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';
import { randomBytes } from '../base/rng.ts';
import type { Aead, CryptoBackend, X25519KeyPair } from '../crypto/backend.ts';
import type { Identity } from '../crypto/identity.ts';
import { HandshakeState, IK } from '../crypto/noise.ts';
import type { RecordReason } from '../crypto/records.ts';
import { isRecordError, verifyIdentityRecord } from '../crypto/records.ts';
import { Secret } from '../crypto/secret.ts';
import { isDecodeError } from '../wire/decode-error.ts';
import {
  decodeInitiationPayload,
  decodeResponsePayload,
  encodeInitiationPayload,
  encodeResponsePayload,
  type ResponsePayload,
} from '../wire/handshake-payload.ts';
import type { InitiationPacket, InnerInitiation, InnerResponse, ResponsePacket } from '../wire/packet.ts';
import {
  INITIATION_BYTES,
  INITIATION_HEADER_BYTES,
  INITIATION_MAC1_OFFSET,
  INITIATION_NOISE_OVERHEAD,
  INITIATION_PAYLOAD_BYTES,
  PROLOGUE_BYTES,
  RESPONSE_BYTES,
  RESPONSE_HEADER_BYTES,
  RESPONSE_MAC1_OFFSET,
  RESPONSE_NOISE_OVERHEAD,
  RESPONSE_PAYLOAD_BYTES,
  writeInitiationHeader,
  writeResponseHeader,
} from '../wire/packet.ts';
import type { IdentityRecord } from '../wire/records.ts';
import { mac, mac1Key } from './gate.ts';

/**
 * The two messages of PROTOCOL.md §2, in both forms: a packet of its own with MACs and padding, or the body of a HANDSHAKE
 * frame. Only cryptography and layout; who may shake hands with whom, and when, is decided elsewhere.
 */
export type HandshakeForm = 'packet' | 'frame';

/** What a handshake needs of the node it runs on. */
export interface HandshakeContext {
  readonly crypto: CryptoBackend;
  readonly rng: Rng;
  readonly identity: Identity;
  /** Our signed identity record as it stands now. */
  readonly record: Uint8Array;
  /** What these bytes say, where somebody has verified the very same before. */
  readonly recall?: ((record: Uint8Array) => IdentityRecord | undefined) | undefined;
}

/** Which node is meant: its name for people is elsewhere, these are what it proves. */
export interface PeerKeys {
  readonly identityKey: Uint8Array;
  readonly staticKey: Uint8Array;
}

/** The record a peer was last seen with; a handshake that brings the same bytes need not have them verified again. */
export interface KnownRecord {
  readonly kind: 'known';
  readonly bytes: Uint8Array;
  readonly record: IdentityRecord;
}

/** What a completed handshake gives its side. */
export interface Established {
  readonly kind: 'established';
  readonly remoteId: number;
  readonly incarnation: Uint8Array;
  readonly generation: number;
  readonly known: KnownRecord;
  readonly sealing: Aead;
  readonly opening: Aead;
}

export type HandshakeReason =
  | 'wrong-network'
  /** A Noise message that does not open under our keys. */
  | 'not-authentic'
  | 'malformed-payload'
  | 'bad-record'
  /** The record names another static key than Noise proved, or another identity than the one meant. */
  | 'wrong-peer'
  /** The two places in a response that name its session or generation disagree. */
  | 'altered-header';

export interface HandshakeRefusal {
  readonly kind: 'refused';
  readonly reason: HandshakeReason;
  readonly record?: RecordReason;
}

export function refused(reason: HandshakeReason): HandshakeRefusal {
  return { kind: 'refused', reason };
}

export interface InitiationOptions {
  readonly peer: PeerKeys;
  readonly form: HandshakeForm;
  readonly localId: number;
  readonly incarnation: Uint8Array;
  readonly generation: number;
}

/** The initiator's side: made with its message, completed by the response to it. */
export class InitiatorHandshake {
  readonly localId: number;
  readonly generation: number;
  /** Kept to be sent again as it is. In packet form MAC2 is zero until a cookie signs it. */
  readonly message: Uint8Array;
  readonly #context: HandshakeContext;
  readonly #peer: PeerKeys;
  readonly #noise: HandshakeState;

  constructor(context: HandshakeContext, options: InitiationOptions) {
    const { peer, form, localId, incarnation, generation } = options;
    const payload = { incarnation, generation, record: context.record };
    const plaintext = encodeInitiationPayload(payload, form === 'packet' ? INITIATION_PAYLOAD_BYTES : undefined);
    const noiseLength = INITIATION_NOISE_OVERHEAD + plaintext.length;
    const length = form === 'packet' ? INITIATION_BYTES : INITIATION_HEADER_BYTES + noiseLength;
    const message = new Uint8Array(length);
    const network = context.identity.address.network;
    writeInitiationHeader(message, { length, network, senderSession: localId });
    this.localId = localId;
    this.generation = generation;
    this.message = message;
    this.#context = context;
    this.#peer = peer;
    this.#noise = new HandshakeState({
      backend: context.crypto,
      pattern: IK,
      role: 'initiator',
      prologue: message.subarray(0, PROLOGUE_BYTES),
      staticKey: context.identity.exchange,
      ephemeralKey: () => drawKeyPair(context),
      remoteStatic: peer.staticKey,
    });
    const written = this.#noise.writeMessage(plaintext, message.subarray(INITIATION_HEADER_BYTES));
    // The endpoint has refused low-order keys, the only ones that no message can be written for.
    assert(written === noiseLength, 'the first message has its length');
    if (form === 'packet') {
      const mac1 = mac(
        context.crypto,
        mac1Key(context.crypto, peer.staticKey),
        message.subarray(0, INITIATION_MAC1_OFFSET),
      );
      message.set(mac1, INITIATION_MAC1_OFFSET);
    }
  }

  /** A refusal leaves the attempt as it was: a forged response must not end it. */
  complete(response: ResponsePacket | InnerResponse, known: KnownRecord | undefined): Established | HandshakeRefusal {
    const { crypto, identity } = this.#context;
    if (response.network !== identity.address.network) return refused('wrong-network');
    const noise = this.#noise.clone();
    const plaintext = new Uint8Array(response.noiseMessage.length);
    const length = noise.readMessage(response.noiseMessage, plaintext);
    if (length < 0) return refused('not-authentic');
    const judged = this.#judgeAnswer(plaintext.subarray(0, length), response.senderSession, known);
    if (judged.kind === 'refused') {
      noise.wipe();
      return judged;
    }
    const { payload } = judged;
    const keys = noise.split();
    return {
      kind: 'established',
      remoteId: response.senderSession,
      incarnation: payload.incarnation,
      generation: payload.generation,
      known: judged.known,
      sealing: takeKey(crypto, keys.initiatorToResponder),
      opening: takeKey(crypto, keys.responderToInitiator),
    };
  }

  #judgeAnswer(
    plaintext: Uint8Array,
    senderSession: number,
    known: KnownRecord | undefined,
  ): { kind: 'judged'; payload: ResponsePayload; known: KnownRecord } | HandshakeRefusal {
    const payload = decodeResponsePayload(plaintext);
    if (isDecodeError(payload)) return refused('malformed-payload');
    if (payload.senderSession !== senderSession) return refused('altered-header');
    if (payload.generation !== this.generation) return refused('altered-header');
    const judged = judgeRecord(this.#context, payload.record, this.#peer.staticKey, known);
    if (judged.kind === 'refused') return judged;
    if (!equal(judged.record.identityKey, this.#peer.identityKey)) return refused('wrong-peer');
    return { kind: 'judged', payload, known: judged };
  }

  /** The ephemeral key and what was derived with it are forgotten. */
  wipe(): void {
    this.#noise.wipe();
  }
}

/** What an initiator asks for, once its payload has opened. */
export interface HandshakeRequest {
  readonly kind: 'request';
  readonly incarnation: Uint8Array;
  readonly generation: number;
  readonly known: KnownRecord;
}

/** What the responder sends and keeps. */
export interface HandshakeAnswer {
  readonly message: Uint8Array;
  readonly sealing: Aead;
  readonly opening: Aead;
}

/**
 * The responder's side, in the steps at which it may stop: `identify` costs one Diffie-Hellman and says who claims to ask,
 * `readRequest` one more and a signature check, `respond` two and a key pair.
 */
export class ResponderHandshake {
  readonly kind = 'responder';
  readonly staticKey: Uint8Array;
  readonly #context: HandshakeContext;
  readonly #initiation: InitiationPacket | InnerInitiation;
  readonly #noise: HandshakeState;
  #generation = 0;

  private constructor(
    context: HandshakeContext,
    initiation: InitiationPacket | InnerInitiation,
    noise: HandshakeState,
  ) {
    this.#context = context;
    this.#initiation = initiation;
    this.#noise = noise;
    this.staticKey = noise.remoteStatic!;
  }

  static identify(
    context: HandshakeContext,
    initiation: InitiationPacket | InnerInitiation,
  ): ResponderHandshake | HandshakeRefusal {
    if (initiation.network !== context.identity.address.network) return refused('wrong-network');
    const noise = new HandshakeState({
      backend: context.crypto,
      pattern: IK,
      role: 'responder',
      prologue: initiation.prologue,
      staticKey: context.identity.exchange,
      ephemeralKey: () => drawKeyPair(context),
    });
    if (!noise.readStatic(initiation.noiseMessage)) return refused('not-authentic');
    return new ResponderHandshake(context, initiation, noise);
  }

  readRequest(known: KnownRecord | undefined): HandshakeRequest | HandshakeRefusal {
    const { noiseMessage } = this.#initiation;
    const plaintext = new Uint8Array(noiseMessage.length);
    const length = this.#noise.readMessage(noiseMessage, plaintext);
    if (length < 0) return refused('not-authentic');
    const payload = decodeInitiationPayload(plaintext.subarray(0, length));
    if (isDecodeError(payload)) return refused('malformed-payload');
    const judged = judgeRecord(this.#context, payload.record, this.staticKey, known);
    if (judged.kind === 'refused') return judged;
    this.#generation = payload.generation;
    return { kind: 'request', incarnation: payload.incarnation, generation: payload.generation, known: judged };
  }

  /** `undefined` where the initiator's ephemeral key is a low-order point. */
  respond(options: { form: HandshakeForm; localId: number; incarnation: Uint8Array }): HandshakeAnswer | undefined {
    const { form, localId, incarnation } = options;
    const { crypto, identity, record } = this.#context;
    const payload = { senderSession: localId, incarnation, generation: this.#generation, record };
    const plaintext = encodeResponsePayload(payload, form === 'packet' ? RESPONSE_PAYLOAD_BYTES : undefined);
    const noiseLength = RESPONSE_NOISE_OVERHEAD + plaintext.length;
    const length = form === 'packet' ? RESPONSE_BYTES : RESPONSE_HEADER_BYTES + noiseLength;
    const message = new Uint8Array(length);
    writeResponseHeader(message, {
      length,
      network: identity.address.network,
      senderSession: localId,
      receiverSession: this.#initiation.senderSession,
    });
    if (this.#noise.writeMessage(plaintext, message.subarray(RESPONSE_HEADER_BYTES)) < 0) return undefined;
    if (form === 'packet') {
      const mac1 = mac(crypto, mac1Key(crypto, this.staticKey), message.subarray(0, RESPONSE_MAC1_OFFSET));
      message.set(mac1, RESPONSE_MAC1_OFFSET);
    }
    const keys = this.#noise.split();
    return {
      message,
      sealing: takeKey(crypto, keys.responderToInitiator),
      opening: takeKey(crypto, keys.initiatorToResponder),
    };
  }

  wipe(): void {
    this.#noise.wipe();
  }
}

/** The record speaks for whoever proved `staticKey`, on our network; or why not. */
function judgeRecord(
  context: HandshakeContext,
  bytes: Uint8Array,
  staticKey: Uint8Array,
  known: KnownRecord | undefined,
): KnownRecord | HandshakeRefusal {
  let record = known !== undefined && equal(known.bytes, bytes) ? known.record : context.recall?.(bytes);
  if (record === undefined) {
    const verified = verifyIdentityRecord(context.crypto, bytes);
    if (isRecordError(verified)) return { kind: 'refused', reason: 'bad-record', record: verified.reason };
    record = verified;
  }
  if (record.address.network !== context.identity.address.network) return refused('wrong-network');
  if (!equal(record.staticKey, staticKey)) return refused('wrong-peer');
  return { kind: 'known', bytes, record };
}

function drawKeyPair(context: HandshakeContext): X25519KeyPair {
  const secret = new Secret(randomBytes(context.rng, 32));
  const pair = context.crypto.x25519(secret);
  secret.wipe();
  return pair;
}

function takeKey(crypto: CryptoBackend, key: Secret): Aead {
  const aead = crypto.aead(key.expose());
  key.wipe();
  return aead;
}
