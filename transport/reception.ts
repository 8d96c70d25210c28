import { compare, equal, toHex } from '../base/bytes.ts';
import type { Instant } from '../base/time.ts';
import type { DataPacket, InitiationPacket } from '../wire/packet.ts';
import { COOKIE_BYTES, COOKIE_MAC_OFFSET, writeCookieHeader } from '../wire/packet.ts';
import type { IdentityRecord } from '../wire/records.ts';
import { PROVISIONAL_MAX, PROVISIONAL_PER_PEER_MAX } from './constants.ts';
import type { DropReason } from './drops.ts';
import type { CookieVerdict, Gate } from './gate.ts';
import { ResponderHandshake } from './handshake.ts';
import type { Provisional, ProvisionalTable } from './provisional.ts';
import type { Replies } from './replies.ts';
import type { Route } from './route.ts';
import { Session } from './session.ts';
import type { SessionOwners } from './session-owners.ts';
import type { Tunnel } from './tunnel.ts';
import type { TunnelNode } from './tunnel-node.ts';
import type { TunnelTable } from './tunnel-table.ts';

/**
 * Where strangers are received: what an initiation must show before it costs us anything (PROTOCOL.md §3), the answer, and the
 * session that stays provisional until its first packet.
 *
 * Invariants: until that packet has opened nothing has changed but one provisional slot. No reply is larger than what it answers.
 * What costs Diffie-Hellman has passed the gate.
 */
export class Reception {
  readonly #parts: ReceptionParts;

  constructor(parts: ReceptionParts) {
    this.#parts = parts;
  }

  /** PROTOCOL.md §3, in its order. */
  handleInitiation(packet: InitiationPacket, route: Route, now: Instant): DropReason | undefined {
    const { node, gate, provisional, replies } = this.#parts;
    if (packet.network !== node.identity.address.network) return 'wrong-network';
    if (!gate.isForUs(packet.beforeMac1, packet.mac1)) return 'bad-mac1';
    const cookie = gate.judgeCookie(route, packet.beforeMac2, packet.mac2, now);
    if (cookie === 'invalid') {
      this.#replyCookie(packet, route, now);
      return 'bad-cookie';
    }
    const repeated = provisional.findRepeated(packet.mac1, route);
    if (repeated !== undefined) {
      repeated.isRepeated = true;
      replies.push({ route, bytes: repeated.response });
      return undefined;
    }
    const verdict = gate.admit(route, cookie, provisional.size, now);
    if (verdict === 'drop') return 'rate-limited';
    if (verdict === 'cookie') return this.#demandCookie(packet, route, now);

    const handshake = ResponderHandshake.identify(node, packet);
    if (handshake.kind === 'refused') return handshake.reason;
    const refusal = this.#answer(handshake, packet, cookie, route, now);
    handshake.wipe();
    return refusal;
  }

  /** PROTOCOL.md §3 from the sixth step on: the initiator has said who it is. */
  #answer(
    handshake: ResponderHandshake,
    packet: InitiationPacket,
    cookie: CookieVerdict,
    route: Route,
    now: Instant,
  ): DropReason | undefined {
    const { node, owners, provisional, replies } = this.#parts;
    const { identity } = node;
    const staticKey = toHex(handshake.staticKey);
    if (equal(handshake.staticKey, identity.exchange.publicKey)) return 'own-key';
    const tunnels = this.#parts.tunnels.withStaticKey(staticKey);
    const slots = provisional.withStaticKey(staticKey);
    const isCrowded = slots.length >= PROVISIONAL_PER_PEER_MAX;
    const isLive = tunnels.some((tunnel) => tunnel.isLive);
    if ((isLive || isCrowded) && cookie !== 'valid') return this.#demandCookie(packet, route, now);

    const request = handshake.readRequest(tunnels.find((tunnel) => tunnel.known !== undefined)?.known);
    if (request.kind === 'refused') return request.reason;
    const { record } = request.known;
    const identityKey = toHex(record.identityKey);
    const refusal = this.#refuseStaticKey(record, cookie, packet, route, now);
    if (refusal !== undefined) return refusal;
    if (equal(record.identityKey, identity.signing.publicKey)) return 'own-key';
    if (!this.#parts.admit(record)) return 'not-admitted';
    if (provisional.size >= PROVISIONAL_MAX && !isCrowded) return 'tables-full';
    const incarnation = this.#parts.tunnels.incarnationFor(identityKey, request.incarnation);
    const localId = owners.draw();
    const answer = handshake.respond({ form: 'packet', localId, incarnation });
    if (answer === undefined) return 'not-authentic';
    // The oldest slot of this peer gives way to one that came with a cookie.
    if (isCrowded) provisional.drop(slots[0]!);
    const session = new Session(
      {
        localId,
        remoteId: packet.senderSession,
        generation: request.generation,
        initiatedLocally: false,
        initiatedByLower: compare(record.identityKey, identity.signing.publicKey) < 0,
        sealing: answer.sealing,
        opening: answer.opening,
      },
      now,
    );
    const slot: Provisional = {
      session,
      identityKey,
      staticKey,
      mac1: packet.mac1.slice(),
      response: answer.message,
      peer: { identityKey: record.identityKey, staticKey: record.staticKey },
      known: request.known,
      localIncarnation: incarnation,
      remoteIncarnation: request.incarnation,
      route,
      isRepeated: false,
    };
    provisional.add(slot);
    owners.set(localId, slot);
    replies.push({ route, bytes: answer.message });
    return undefined;
  }

  /** An identity that comes with another static key than the one it has here needs a newer record that says so, and a cookie. */
  #refuseStaticKey(
    record: IdentityRecord,
    cookie: CookieVerdict,
    packet: InitiationPacket,
    route: Route,
    now: Instant,
  ): DropReason | undefined {
    const known = this.#parts.tunnels.get(toHex(record.identityKey));
    if (known === undefined || equal(known.peer.staticKey, record.staticKey)) return undefined;
    if (known.known !== undefined && record.sequence <= known.known.record.sequence) return 'wrong-peer';
    return known.isLive && cookie !== 'valid' ? this.#demandCookie(packet, route, now) : undefined;
  }

  #demandCookie(packet: InitiationPacket, route: Route, now: Instant): DropReason {
    this.#replyCookie(packet, route, now);
    return 'cookie-demanded';
  }

  #replyCookie(packet: InitiationPacket, route: Route, now: Instant): void {
    const { gate, replies } = this.#parts;
    const bytes = new Uint8Array(COOKIE_BYTES);
    writeCookieHeader(bytes, packet.senderSession, gate.cookieFor(route, now));
    bytes.set(gate.cookieMac(bytes.subarray(0, COOKIE_MAC_OFFSET), packet.mac1), COOKIE_MAC_OFFSET);
    replies.push({ route, bytes });
  }

  /** The first packet under the initiator's new key: only now does the handshake change anything. */
  confirm(slot: Provisional, packet: DataPacket, route: Route, now: Instant): DropReason | undefined {
    const { tunnels, owners, provisional } = this.#parts;
    const { session, peer, remoteIncarnation, localIncarnation, known } = slot;
    const existing = tunnels.get(slot.identityKey);
    const isOurs = existing !== undefined && equal(existing.localIncarnation, localIncarnation);
    // Asked for before we closed; the peer will ask again, and then for a new tunnel.
    if (isOurs && existing.state === 'closing') return 'unexpected';
    const continues = isOurs && existing.isWith(remoteIncarnation) && equal(existing.peer.staticKey, peer.staticKey);
    if (continues && !existing.accepts(packet.packetNumber)) return 'replayed';
    if (!session.open(packet, now)) return 'not-authentic';
    if (existing === undefined && !tunnels.makeRoom('common', now)) return 'tables-full';
    const tunnel = continues ? existing : tunnels.replace(existing, peer, { localIncarnation, remoteIncarnation }, now);
    provisional.release(slot);
    provisional.dropOlder(slot.identityKey, remoteIncarnation, session.createdAt);
    owners.set(session.localId, tunnel);
    const roundTrip = slot.isRepeated ? undefined : now - session.createdAt;
    tunnel.adopt(session, remoteIncarnation, known, { route: slot.route, roundTrip }, now);
    tunnel.handleOpened(session, packet, route, now);
    tunnels.touch(tunnel);
    return undefined;
  }
}

export interface ReceptionParts {
  readonly node: TunnelNode;
  readonly gate: Gate;
  readonly tunnels: TunnelTable;
  readonly owners: SessionOwners<Tunnel | Provisional>;
  readonly provisional: ProvisionalTable;
  readonly replies: Replies;
  /** Whether to have this peer at all, its record verified and its key proved. */
  readonly admit: (record: IdentityRecord) => boolean;
}
