import type { DaemonCarrierOptions } from '../carriers/daemon.ts';
import type { EmbeddedCarrierOptions } from '../carriers/embedded.ts';
import type { HyperdhtCarrierOptions } from '../carriers/hyperdht.ts';
import type { UdxCarrierOptions } from '../carriers/udx.ts';
import type { UnixCarrierOptions } from '../carriers/unix.ts';
import type { Quantiles } from './quantiles.ts';

/** What an application of a benchmark is told to do, and what it answers. */

/** How it gets its streams. */
export type CarrierOptions =
  | DaemonCarrierOptions
  | EmbeddedCarrierOptions
  | UnixCarrierOptions
  | UdxCarrierOptions
  | HyperdhtCarrierOptions;

export interface AppOptions {
  readonly side: Side;
  readonly carrier: CarrierOptions;
}

/** The near one dials, the far one listens. */
export type Side = 'near' | 'far';

/** What the far side does with a stream: its first byte says it. */
export const WORK_BYTES = { sink: 's', both: 'b', echo: 'e', idle: 'i', close: 'c' } as const;
export type Work = keyof typeof WORK_BYTES;

export type AppRequest =
  /** Who the other side is, in its carrier's own terms. */
  | { readonly kind: 'meet'; readonly contact: Contact }
  /** Opens streams and keeps them; `sink`, `both` and `echo` are written to as fast as they take it. */
  | { readonly kind: 'open'; readonly work: Work; readonly streams: number }
  /** Destroys them all, and counts from nothing again. */
  | { readonly kind: 'close' }
  | { readonly kind: 'count' }
  /** Small messages, each after the echo of the one before. */
  | { readonly kind: 'ping'; readonly milliseconds: number }
  /** Opens and closes so many streams, at most `atOnce` of them at any time. */
  | { readonly kind: 'churn'; readonly streams: number; readonly atOnce: number; readonly millisecondsMax: number }
  | { readonly kind: 'dial'; readonly times: number; readonly millisecondsMax: number }
  /** So many bytes in one stream, to its end in order. */
  | { readonly kind: 'transfer'; readonly bytes: number }
  | { readonly kind: 'mtu' };

export type AppReply =
  | { readonly kind: 'ready'; readonly contact: Contact }
  | { readonly kind: 'met' | 'opened' | 'closed' }
  | {
      readonly kind: 'count';
      /** In milliseconds. */
      readonly at: number;
      /** Bytes, over all streams. */
      readonly received: number;
      /** Streams that ended with an error. */
      readonly broken: number;
    }
  | ({ readonly kind: 'pinged' } & Quantiles)
  | { readonly kind: 'churned'; readonly streams: number; readonly seconds: number }
  /** How many milliseconds each took. */
  | { readonly kind: 'dialled'; readonly times: readonly number[] }
  | { readonly kind: 'transferred'; readonly seconds: number; readonly error: string }
  /** Of the path that is used; 0 where the carrier does not know. */
  | { readonly kind: 'mtu'; readonly bytes: number }
  | { readonly kind: 'failed'; readonly message: string; readonly isUnavailable?: boolean };

export type Contact = Readonly<Record<string, string | number>>;
