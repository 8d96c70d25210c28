import type { Bench } from '../report/report.ts';
import { ccBench } from './cc.ts';
import { dialBench } from './dial.ts';
import { embeddedBench } from './embedded.ts';
import { handshakeBench } from './handshake.ts';
import { handshakeFloodBench } from './handshake-flood.ts';
import { hostileClientBench } from './hostile-client.ts';
import { idleBench } from './idle.ts';
import { latencyBench } from './latency.ts';
import { loopbackBench } from './loopback.ts';
import { memoryBench } from './memory.ts';
import type { NodeBench } from './options.ts';
import { peersBench } from './peers.ts';
import { rooflineBench } from './roofline.ts';
import { scaleBench } from './scale.ts';
import { streamsBench } from './streams.ts';

/** What `all` runs, in the order of the page it writes. */
export const SPEED_BENCHES: readonly (Bench | NodeBench)[] = [
  rooflineBench,
  loopbackBench,
  embeddedBench,
  peersBench,
  latencyBench,
  dialBench,
  handshakeBench,
  streamsBench,
  memoryBench,
  idleBench,
  scaleBench,
  ccBench,
];

/** And what strangers and bad neighbours cost. */
export const BENCHES: readonly (Bench | NodeBench)[] = [...SPEED_BENCHES, handshakeFloodBench, hostileClientBench];
