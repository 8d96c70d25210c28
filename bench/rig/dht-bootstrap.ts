import { createRequire } from 'node:module';
import { type HyperdhtClass, LOOPBACK } from '../carriers/hyperdht.ts';

/** The one node of a DHT that is there for `hyperdht` to find its peer with; no packet of it leaves the machine. */

export interface BootstrapOptions {
  readonly from: string;
  readonly port: number;
}

export interface BootstrapReply {
  readonly kind: 'ready';
}

const { from, port } = JSON.parse(process.argv[2] ?? '{}') as BootstrapOptions;
const HyperDht = createRequire(from)('hyperdht') as HyperdhtClass;
await HyperDht.bootstrapper(port, LOOPBACK).fullyBootstrapped();
process.send?.({ kind: 'ready' } satisfies BootstrapReply);
