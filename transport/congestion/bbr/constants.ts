import { MILLISECOND, SECOND } from '../../../base/time.ts';

/** The constants of draft-ietf-ccwg-bbr, §2 unless said otherwise; its clauses are numbered as in revision 06 and later. */

/** StartupPacingGain: 4 ln 2, the least that lets the rate double in a round trip. */
export const STARTUP_PACING_GAIN = 2.77;
export const DRAIN_PACING_GAIN = 0.5;
export const DOWN_PACING_GAIN = 0.9;
export const UP_PACING_GAIN = 1.25;
/** DefaultCwndGain. */
export const CWND_GAIN = 2;
export const UP_CWND_GAIN = 2.25;
export const PROBE_RTT_CWND_GAIN = 0.5;

/** PacingMarginPercent: paces that much below the estimate, so that a queue does not build from noise in it. */
export const PACING_MARGIN_PERCENT = 1;

/** MinPipeCwnd, in datagrams: two on the way there and two being acknowledged. */
export const MIN_PIPE_PACKETS = 4;

/** LossThresh: the share of a flight that may be lost while probing. */
export const LOSS_THRESH = 0.02;
/**
 * No clause of the draft: this many datagrams lost are no sign of congestion, however small the flight. Where a flight is 30
 * datagrams a single random loss is 3 % of it, and the threshold alone would take it for a full queue.
 */
export const LOSS_SLACK_PACKETS = 2;
/** Beta: what the bounds keep at least in a round trip with losses. */
export const BETA = 0.7;
/** Headroom: the share of inflight_hi that cruising leaves to others. */
export const HEADROOM = 0.15;

/** §5.3.1.2: three rounds without a quarter more fill the pipe. */
export const FULL_BW_GROWTH = 1.25;
export const FULL_BW_ROUNDS = 3;
/** §5.3.1.3: BBRStartupFullLossCnt, loss events in a round. */
export const STARTUP_FULL_LOSS_EVENTS = 6;
/** §5.3.2: Drain gives up after this many rounds. */
export const DRAIN_ROUNDS_MAX = 3;

/** MinRTTFilterLen, and so the time between two ProbeRTT. */
export const MIN_RTT_WINDOW: number = 10 * SECOND;
export const PROBE_RTT_DURATION: number = 200 * MILLISECOND;
/**
 * A sample this close to the lowest RTT (1/64) proves the queue as empty as a ProbeRTT would, and puts the next one off; the
 * draft wants a lower one. So a flow that never queues is not made to pause.
 */
export const MIN_RTT_TOLERANCE: number = 1 / 64;

/** ExtraAckedFilterLen, in rounds. */
export const EXTRA_ACKED_ROUNDS = 10;

/** §5.3.3.8: the wall-clock wait between probes, 2 s and up to one more. */
export const PROBE_WAIT_BASE: number = 2 * SECOND;
export const PROBE_WAIT_SPREAD: number = 1 * SECOND;
/** §5.3.3.8: the wait in rounds, as Reno would take to recover, is at most this. */
export const RENO_ROUNDS_MAX = 63;
/** §5.3.3.9: bw_probe_up_rounds. */
export const PROBE_UP_ROUNDS_MAX = 30;

/** §5.6.3: the send quantum is a millisecond's worth, at most 64 KiB, at least two datagrams. */
export const QUANTUM_TIME: number = 1 * MILLISECOND;
export const QUANTUM_MAX = 65_536;
export const QUANTUM_MIN_PACKETS = 2;
