import { EMPTY, fromHex, toHex } from '../../base/bytes.ts';
import type { CryptoBackend, X25519KeyPair } from '../../crypto/backend.ts';
import { HandshakeState, type Pattern, type Role, writeNonce } from '../../crypto/noise.ts';
import { Secret } from '../../crypto/secret.ts';
import { patternOf } from './noise-patterns.ts';
import { differs, type RunSet, type SetReport, Tally } from './report.ts';
import { readShared } from './shared-files.ts';

/** The vectors that two other implementations publish, those of them for 25519, AESGCM and SHA256. */
export const NOISE: Readonly<Record<string, RunSet>> = {
  'noise cacophony': (set, backend) => runFile({ set, file: 'cacophony', cases: 59 }, backend),
  'noise snow': (set, backend) => runFile({ set, file: 'snow', cases: 51 }, backend),
};

interface FileDescription {
  readonly set: string;
  readonly file: string;
  readonly cases: number;
}

interface NoiseVector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_psks?: readonly string[];
  readonly init_static?: string;
  readonly init_ephemeral: string;
  readonly init_remote_static?: string;
  readonly resp_prologue: string;
  readonly resp_psks?: readonly string[];
  readonly resp_static?: string;
  readonly resp_ephemeral?: string;
  readonly resp_remote_static?: string;
  readonly handshake_hash?: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

function runFile(description: FileDescription, backend: CryptoBackend): SetReport {
  const { set, file, cases } = description;
  const name = `noise_${file}_25519_AESGCM_SHA256.json`;
  const content = readShared(name) as { readonly vectors: readonly NoiseVector[] } | undefined;
  if (content === undefined) return { set, backend: backend.name, passed: 0, failures: [], isAbsent: true, note: name };
  const tally = new Tally(set, backend.name);
  for (const [index, vector] of content.vectors.entries()) {
    tally.check(`${index} (${vector.protocol_name})`, () => runVector(vector, backend));
  }
  const messages = content.vectors.reduce((sum, vector) => sum + vector.messages.length, 0);
  return tally.reportOf(cases, `${messages} messages`);
}

/** Plays both sides; gives what is wrong. */
function runVector(vector: NoiseVector, backend: CryptoBackend): string | undefined {
  const pattern = patternOf(vector.protocol_name.split('_')[1]!);
  const sides = {
    initiator: sideOf(vector, pattern, 'initiator', backend),
    responder: sideOf(vector, pattern, 'responder', backend),
  };
  const count = pattern.messages.length;
  for (const [index, { payload, ciphertext }] of vector.messages.slice(0, count).entries()) {
    const [writer, reader] = index % 2 === 0 ? [sides.initiator, sides.responder] : [sides.responder, sides.initiator];
    const out = new Uint8Array(ciphertext.length / 2);
    const written = writer.writeMessage(fromHex(payload), out);
    const wrong =
      differs(`message ${index}`, out.subarray(0, written), ciphertext) ??
      readInOneStep(reader.clone(), out, payload) ??
      (pattern.messages[index]!.includes('s') ? readInTwoSteps(reader.clone(), out, payload) : undefined) ??
      readInOneStep(reader, out, payload);
    if (wrong !== undefined) return `message ${index}: ${wrong}`;
  }
  const { initiator, responder } = sides;
  if (!initiator.isComplete || !responder.isComplete) return 'the handshake is not complete';
  return (
    differs('handshake hash', initiator.handshakeHash, vector.handshake_hash ?? toHex(responder.handshakeHash)) ??
    differs('handshake hash', responder.handshakeHash, toHex(initiator.handshakeHash)) ??
    runTransport(vector, count, sides, backend)
  );
}

function sideOf(vector: NoiseVector, pattern: Pattern, role: Role, backend: CryptoBackend): HandshakeState {
  const isInitiator = role === 'initiator';
  const pair = (secret: string): X25519KeyPair => backend.x25519(new Secret(fromHex(secret)));
  const staticKey = isInitiator ? vector.init_static : vector.resp_static;
  const ephemeralKey = isInitiator ? vector.init_ephemeral : vector.resp_ephemeral;
  const remoteStatic = isInitiator ? vector.init_remote_static : vector.resp_remote_static;
  return new HandshakeState({
    backend,
    pattern,
    role,
    prologue: fromHex(isInitiator ? vector.init_prologue : vector.resp_prologue),
    staticKey: staticKey === undefined ? undefined : pair(staticKey),
    ephemeralKey: () => pair(ephemeralKey!),
    remoteStatic: remoteStatic === undefined ? undefined : fromHex(remoteStatic),
    psks: (isInitiator ? vector.init_psks : vector.resp_psks)?.map(fromHex),
  });
}

function readInOneStep(reader: HandshakeState, message: Uint8Array, payload: string): string | undefined {
  const out = new Uint8Array(payload.length / 2);
  const length = reader.readMessage(message, out);
  return length < 0 ? 'it is refused' : differs('payload', out.subarray(0, length), payload);
}

function readInTwoSteps(reader: HandshakeState, message: Uint8Array, payload: string): string | undefined {
  if (!reader.readStatic(message) || reader.remoteStatic === undefined) return 'its static key is refused';
  return readInOneStep(reader, message, payload);
}

/** What follows the handshake: in turn as before, or all from the initiator where the pattern has one message only. */
function runTransport(
  vector: NoiseVector,
  from: number,
  sides: Readonly<Record<Role, HandshakeState>>,
  backend: CryptoBackend,
): string | undefined {
  const keys = sides.initiator.split();
  const theirs = sides.responder.split();
  const wrong =
    differs('key', theirs.initiatorToResponder.expose(), toHex(keys.initiatorToResponder.expose())) ??
    differs('key', theirs.responderToInitiator.expose(), toHex(keys.responderToInitiator.expose()));
  if (wrong !== undefined) return wrong;
  const forth = { sealing: backend.aead(keys.initiatorToResponder.expose()), counter: 0 };
  const back = { sealing: backend.aead(keys.responderToInitiator.expose()), counter: 0 };
  const nonce = new Uint8Array(12);
  for (let index = from; index < vector.messages.length; index++) {
    const { payload, ciphertext } = vector.messages[index]!;
    const direction = from === 1 || index % 2 === 0 ? forth : back;
    writeNonce(nonce, direction.counter++);
    const out = new Uint8Array(ciphertext.length / 2);
    const written = direction.sealing.seal(nonce, EMPTY, fromHex(payload), out);
    const different = differs(`message ${index}`, out.subarray(0, written), ciphertext);
    if (different !== undefined) return different;
  }
  return undefined;
}
