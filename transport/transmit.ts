import type { Route } from './route.ts';

/**
 * What `pollTransmit` wrote to the start of the caller's buffer: `length` bytes for one route, to be cut into datagrams of
 * `segmentSize` bytes, the last one possibly shorter. That is what segmentation offload takes in one call.
 */
export interface Transmit {
  readonly route: Route;
  readonly length: number;
  readonly segmentSize: number;
}
