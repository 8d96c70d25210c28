import { monitorEventLoopDelay } from 'node:perf_hooks';
import { toHex } from '../base/bytes.ts';
import { opensslBackend } from '../crypto/openssl.ts';
import { EndpointDriver } from '../daemon/endpoint-driver.ts';
import { makeParty } from './party.ts';

/** The node that `handshake-flood` floods: a process of its own, so that its processor time and memory are a node's. */

export interface TargetRequest {
  readonly kind: 'snapshot';
  readonly isFirst: boolean;
}

export interface TargetReady {
  readonly kind: 'ready';
  readonly port: number;
  readonly identityKey: string;
  readonly staticKey: string;
}

export interface TargetSnapshot {
  readonly kind: 'snapshot';
  /** In milliseconds. */
  readonly at: number;
  readonly cpuMs: number;
  readonly residentMiB: number;
  readonly datagramsReceived: number;
  readonly datagramsSent: number;
  /** Since the first snapshot. */
  readonly loopDelayP99Ms: number;
}

export type TargetReply = TargetReady | TargetSnapshot;

/** The histogram holds the time between two rings of a timer of this period. */
const LOOP_RESOLUTION_MS = 5;

const { identity, record, keys } = makeParty(opensslBackend);
const driver = await EndpointDriver.open({
  crypto: opensslBackend,
  identity,
  record,
  admit: () => true,
  // The dual-stack kind of socket, as a node has, but within reach of this machine only.
  host: '::ffff:127.0.0.1',
  listener: { event: () => undefined, datagram: () => undefined },
});
const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
loopDelay.enable();

function snapshot(): TargetSnapshot {
  const { user, system } = process.cpuUsage();
  const { datagramsReceived, datagramsSent } = driver.counts;
  return {
    kind: 'snapshot',
    at: performance.now(),
    cpuMs: (user + system) / 1_000,
    residentMiB: process.memoryUsage.rss() / 2 ** 20,
    datagramsReceived,
    datagramsSent,
    loopDelayP99Ms: Math.max(0, loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS),
  };
}

function reply(message: TargetReply): void {
  process.send?.(message);
}

process.on('message', ({ isFirst }: TargetRequest) => {
  if (isFirst) loopDelay.reset();
  reply(snapshot());
});
process.on('disconnect', () => {
  loopDelay.disable();
  void driver.close();
});
reply({
  kind: 'ready',
  port: driver.localPort,
  identityKey: toHex(keys.identityKey),
  staticKey: toHex(keys.staticKey),
});
