import { expect } from 'vitest';
import { SECOND } from '../../../base/time.ts';
import type { SimPeer } from '../../../sim/world.ts';
import type { TunnelConfig } from '../../../transport/constants.ts';
import {
  CONTROL_FRAMES_QUEUED_MAX,
  DATAGRAMS_RECEIVED_MAX,
  DIRECTED_QUEUED_MAX,
  PATHS_MAX,
} from '../../../transport/constants.ts';
import type { Tunnel } from '../../../transport/tunnel.ts';
import { CLOSE_CODES, type CloseCode } from '../../../wire/close-codes.ts';
import type { Frame } from '../../../wire/frames.ts';
import { KeyedPeer } from '../../security/hostile.ts';
import { CountingBackend, connected, exchangeLetters, run } from '../../security/support.ts';

export const UNHURRIED: Partial<TunnelConfig> = { handshakesPerSecond: 1e6, handshakesBurst: 1e6 };

/**
 * A peer that has proved who it is and then says anything at all. It may end its own tunnel; it may not reach an assertion,
 * grow anything past its bound, or be felt in another tunnel.
 */
export interface Scene {
  readonly peer: KeyedPeer;
  readonly a: SimPeer;
  readonly b: SimPeer;
  readonly world: KeyedPeer['world'];
  readonly crypto: CountingBackend;
  /** The other tunnel is as it was and works. */
  readonly othersAreWell: () => void;
}

export function scene(config: Partial<TunnelConfig> = {}): Scene {
  const crypto = new CountingBackend();
  // So that the other tunnel keeps its session, however long it takes.
  const { world, a, b } = connected({ crypto, config: { rekeyAfterTime: 3_600 * SECOND, ...config } });
  exchangeLetters(world, a, b);
  const peer = new KeyedPeer(world, b).join();
  const before = b.tunnelTo(a)!.inspect();
  const othersAreWell = (): void => {
    const { sessions, active, paths, state } = b.tunnelTo(a)!.inspect();
    expect({ sessions, active, state }).toEqual({
      sessions: before.sessions,
      active: before.active,
      state: before.state,
    });
    expect(paths.map(({ route, isValidated }) => [route, isValidated])).toEqual([[a.address.key, true]]);
    exchangeLetters(world, a, b);
  };
  return { peer, a, b, world, crypto, othersAreWell };
}

export function tunnelOf(peer: KeyedPeer): Tunnel | undefined {
  return peer.victim.node.endpoint.tunnel(peer.key);
}

/** Closed with this code, told to the peer, and soon forgotten. */
export function expectClosed(
  { peer, b, world, othersAreWell }: Scene,
  frames: readonly Frame[],
  code: CloseCode,
): void {
  expect(frames.at(-1)).toMatchObject({ kind: 'close', code: CLOSE_CODES[code] });
  expect(tunnelOf(peer)?.state).toBe('closing');
  expect(b.events.at(-1)).toMatchObject({ kind: 'tunnel-down', peer: peer.key, reason: { kind: 'closed', code } });
  run(world, 10 * SECOND);
  expect(tunnelOf(peer)).toBeUndefined();
  othersAreWell();
}

/** What every node keeps to, whatever a peer has said. */
export function expectBounded(peer: KeyedPeer): void {
  const state = peer.victim.node.endpoint.inspect();
  const tunnel = state.tunnels.find(({ peer: key }) => key === peer.key);
  expect(state.received).toBeLessThanOrEqual(DATAGRAMS_RECEIVED_MAX);
  expect(tunnel?.paths.length ?? 0).toBeLessThanOrEqual(PATHS_MAX);
  expect(tunnel?.sessions.length ?? 0).toBeLessThanOrEqual(16);
  expect(tunnel?.queued ?? 0).toBeLessThanOrEqual(CONTROL_FRAMES_QUEUED_MAX + DIRECTED_QUEUED_MAX + 64);
}
