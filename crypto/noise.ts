import { assert, assertNever } from '../base/assert.ts';
import type { CryptoBackend, X25519KeyPair } from './backend.ts';
import { SymmetricState } from './noise-symmetric.ts';
import { Secret } from './secret.ts';

export { writeNonce } from './noise-symmetric.ts';

/**
 * The Noise Protocol Framework, revision 34, for 25519, AESGCM and SHA256: an interpreter that walks the tokens of a pattern
 * (§5.3). The product speaks one pattern, `IK`; that the same few lines also reproduce every other pattern's official
 * vectors is what says that they are right.
 *
 * A handshake goes back and forth between `writeMessage` and `readMessage` until `isComplete`, then `split` gives the two
 * transport keys. Whatever a peer sends, reading gives -1 and ends the handshake: it forgets its secrets and reads nothing
 * more. Somebody who may be sent forgeries reads into a `clone`, which leaves the original waiting.
 */
export type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk';
export type Role = 'initiator' | 'responder';

export interface Pattern {
  /** With its modifiers, as it stands in the protocol name. */
  readonly name: string;
  /** What the other side knows of each beforehand. */
  readonly preMessages: Readonly<Record<Role, readonly 's'[]>>;
  /** The initiator's first, then in turn. */
  readonly messages: readonly (readonly Token[])[];
}

export const IK: Pattern = {
  name: 'IK',
  preMessages: { initiator: [], responder: ['s'] },
  messages: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se'],
  ],
};

/** Noise §3: no message is longer. */
export const NOISE_MESSAGE_BYTES_MAX = 65_535;

const KEY_BYTES = 32;

export interface HandshakeOptions {
  readonly backend: CryptoBackend;
  readonly pattern: Pattern;
  readonly role: Role;
  readonly prologue: Uint8Array;
  readonly staticKey?: X25519KeyPair | undefined;
  /** Called once, when our `e` is written: a responder that turns an initiation down has not paid for a key pair. */
  readonly ephemeralKey: () => X25519KeyPair;
  /** Where the pattern has it known beforehand. */
  readonly remoteStatic?: Uint8Array | undefined;
  /** 32 bytes each, in the order of the pattern's `psk` tokens; the caller's to wipe. */
  readonly psks?: readonly Uint8Array[] | undefined;
}

export interface TransportKeys {
  readonly initiatorToResponder: Secret;
  /** Not for use after a one-way pattern. */
  readonly responderToInitiator: Secret;
}

export class HandshakeState {
  readonly #options: HandshakeOptions;
  #symmetric: SymmetricState;
  readonly #usesPsk: boolean;
  #ephemeral: X25519KeyPair | undefined;
  #remoteEphemeral: Uint8Array | undefined;
  #remoteStatic: Uint8Array | undefined;
  /** The message that is next, and how much of it has been read. */
  #message = 0;
  #token = 0;
  #offset = 0;
  #psksUsed = 0;
  #isEnded = false;

  constructor(options: HandshakeOptions) {
    const { backend, pattern, prologue, remoteStatic } = options;
    this.#options = options;
    this.#usesPsk = pattern.messages.some((tokens) => tokens.includes('psk'));
    this.#remoteStatic = remoteStatic?.slice();
    this.#symmetric = new SymmetricState(backend, `Noise_${pattern.name}_25519_AESGCM_SHA256`);
    this.#symmetric.mixHash(prologue);
    this.#mixPreMessages();
  }

  /** Every message has been written or read. */
  get isComplete(): boolean {
    return this.#message === this.#options.pattern.messages.length;
  }

  /** The other side's static key, as soon as it is known; it is proven only by a message that was read to its end. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic;
  }

  /** Noise §11.2: the same on both sides, unique to this handshake, and no secret. */
  get handshakeHash(): Uint8Array {
    assert(this.isComplete, 'the handshake hash is final when the handshake is');
    return this.#symmetric.handshakeHash;
  }

  /**
   * Gives the bytes written to the start of `out`, or -1 where a Diffie-Hellman with one of the peer's keys is all zero,
   * which ends the handshake.
   */
  writeMessage(payload: Uint8Array, out: Uint8Array): number {
    assert(this.#isOurTurn, 'it is our turn to write');
    let length = 0;
    for (const token of this.#tokens) {
      const written = this.#writeToken(token, out.subarray(length));
      if (written < 0) {
        this.wipe();
        return -1;
      }
      length += written;
    }
    length += this.#symmetric.encryptAndHash(payload, out.subarray(length));
    assert(length <= NOISE_MESSAGE_BYTES_MAX, 'no longer than a Noise message may be');
    this.#message++;
    return length;
  }

  /**
   * The first half of `readMessage`: goes up to and including `s`, so that after one Diffie-Hellman a responder knows who
   * claims to speak, and may stop there. `readMessage`, given the same bytes, goes on from here. False where it failed.
   */
  readStatic(message: Uint8Array): boolean {
    if (!this.#isTheirTurn) return false;
    const end = this.#tokens.indexOf('s') + 1;
    assert(end > 0, 'this message brings a static key');
    if (this.#readTokens(end, message)) return true;
    this.wipe();
    return false;
  }

  /**
   * Gives the length of the payload written to the start of `out`, which may be the memory that the payload is in; -1 where
   * the message is malformed, not authentic, or its payload longer than `out`. Out of turn it is -1 and nothing happens.
   */
  readMessage(message: Uint8Array, out: Uint8Array): number {
    if (!this.#isTheirTurn) return -1;
    const length = this.#readTokens(this.#tokens.length, message)
      ? this.#symmetric.decryptAndHash(message.subarray(this.#offset), out)
      : -1;
    if (length < 0) {
      this.wipe();
      return -1;
    }
    this.#message++;
    this.#token = 0;
    this.#offset = 0;
    return length;
  }

  /** The transport keys, once; the handshake forgets its secrets, and keeps its hash and the remote key. */
  split(): TransportKeys {
    assert(this.isComplete && !this.#isEnded, 'a complete handshake is split once');
    const output = this.#symmetric.split();
    const keys = {
      initiatorToResponder: new Secret(output.slice(0, 32)),
      responderToInitiator: new Secret(output.slice(32, 64)),
    };
    output.fill(0);
    this.wipe();
    return keys;
  }

  /** An independent copy at the same point, which succeeds, fails and is wiped by itself. */
  clone(): HandshakeState {
    assert(!this.#isEnded, 'a handshake that has ended has nothing to copy');
    const twin = new HandshakeState(this.#options);
    twin.#symmetric = this.#symmetric.clone();
    twin.#ephemeral = this.#ephemeral;
    twin.#remoteEphemeral = this.#remoteEphemeral;
    twin.#remoteStatic = this.#remoteStatic;
    twin.#message = this.#message;
    twin.#token = this.#token;
    twin.#offset = this.#offset;
    twin.#psksUsed = this.#psksUsed;
    return twin;
  }

  /** Ends the handshake; the key pairs it was given are their owner's. */
  wipe(): void {
    this.#isEnded = true;
    this.#symmetric.wipe();
    this.#ephemeral = undefined;
  }

  get #tokens(): readonly Token[] {
    const tokens = this.#options.pattern.messages[this.#message];
    assert(tokens !== undefined, 'the handshake has a message left');
    return tokens;
  }

  get #isRunning(): boolean {
    return !this.#isEnded && !this.isComplete;
  }

  get #isOurTurn(): boolean {
    return this.#isRunning && (this.#message % 2 === 0) === (this.#options.role === 'initiator');
  }

  get #isTheirTurn(): boolean {
    return this.#isRunning && !this.#isOurTurn;
  }

  /** Noise §5.3, Initialize: the initiator's keys first. */
  #mixPreMessages(): void {
    const { pattern, role, staticKey } = this.#options;
    for (const side of ['initiator', 'responder'] as const) {
      if (pattern.preMessages[side].length === 0) continue;
      const key = side === role ? staticKey?.publicKey : this.#remoteStatic;
      assert(key?.length === KEY_BYTES, `the pattern has the ${side} known beforehand`);
      this.#symmetric.mixHash(key);
    }
  }

  #writeToken(token: Token, out: Uint8Array): number {
    switch (token) {
      case 'e': {
        this.#ephemeral = this.#options.ephemeralKey();
        const { publicKey } = this.#ephemeral;
        assert(out.length >= KEY_BYTES, 'room for the ephemeral key');
        out.set(publicKey, 0);
        this.#mixEphemeral(publicKey);
        return KEY_BYTES;
      }
      case 's':
        return this.#symmetric.encryptAndHash(this.#ownStatic().publicKey, out);
      default:
        return this.#mixSecret(token) ? 0 : -1;
    }
  }

  #readTokens(end: number, message: Uint8Array): boolean {
    if (message.length > NOISE_MESSAGE_BYTES_MAX) return false;
    for (; this.#token < end; this.#token++) {
      const token = this.#tokens[this.#token]!;
      if (token === 'e') {
        const key = this.#take(message, KEY_BYTES);
        if (key === undefined) return false;
        this.#remoteEphemeral = key.slice();
        this.#mixEphemeral(key);
      } else if (token === 's') {
        const sealed = this.#take(message, KEY_BYTES + this.#symmetric.overhead);
        const key = new Uint8Array(KEY_BYTES);
        if (sealed === undefined || this.#symmetric.decryptAndHash(sealed, key) < 0) return false;
        this.#remoteStatic = key;
      } else if (!this.#mixSecret(token)) {
        return false;
      }
    }
    return true;
  }

  #take(message: Uint8Array, length: number): Uint8Array | undefined {
    const start = this.#offset;
    if (message.length - start < length) return undefined;
    this.#offset = start + length;
    return message.subarray(start, start + length);
  }

  #mixEphemeral(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey);
    // Noise §9.2: with a pre-shared key the ephemeral also goes into the key, or two messages could share one.
    if (this.#usesPsk) this.#symmetric.mixKey(publicKey);
  }

  /** The tokens that put nothing into the message. False where a Diffie-Hellman is all zero. */
  #mixSecret(token: Exclude<Token, 'e' | 's'>): boolean {
    if (token === 'psk') {
      const psk = this.#options.psks?.[this.#psksUsed++];
      assert(psk?.length === 32, 'a pre-shared key of 32 bytes for every psk token');
      this.#symmetric.mixKeyAndHash(psk);
      return true;
    }
    const shared = this.#diffieHellman(token);
    if (shared === undefined) return false;
    this.#symmetric.mixKey(shared);
    shared.fill(0);
    return true;
  }

  /** The first letter of a token is the initiator's key, the second the responder's. */
  #diffieHellman(token: 'ee' | 'es' | 'se' | 'ss'): Uint8Array | undefined {
    const isInitiator = this.#options.role === 'initiator';
    switch (token) {
      case 'ee':
        return this.#ownEphemeral().diffieHellman(this.#theirEphemeral());
      case 'ss':
        return this.#ownStatic().diffieHellman(this.#theirStatic());
      case 'es':
        return isInitiator
          ? this.#ownEphemeral().diffieHellman(this.#theirStatic())
          : this.#ownStatic().diffieHellman(this.#theirEphemeral());
      case 'se':
        return isInitiator
          ? this.#ownStatic().diffieHellman(this.#theirEphemeral())
          : this.#ownEphemeral().diffieHellman(this.#theirStatic());
      default:
        return assertNever(token);
    }
  }

  #ownStatic(): X25519KeyPair {
    assert(this.#options.staticKey !== undefined, 'this pattern needs our static key');
    return this.#options.staticKey;
  }

  #ownEphemeral(): X25519KeyPair {
    assert(this.#ephemeral !== undefined, 'a valid pattern sends e before it is used');
    return this.#ephemeral;
  }

  #theirStatic(): Uint8Array {
    assert(this.#remoteStatic !== undefined, 'a valid pattern has their s before it is used');
    return this.#remoteStatic;
  }

  #theirEphemeral(): Uint8Array {
    assert(this.#remoteEphemeral !== undefined, 'a valid pattern has their e before it is used');
    return this.#remoteEphemeral;
  }
}
