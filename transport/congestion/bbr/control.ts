import { SECOND } from '../../../base/time.ts';
import { initialWindow, MAXIMUM_WINDOW } from '../controller.ts';
import type { Bounds } from './bounds.ts';
import {
  CWND_GAIN,
  DOWN_PACING_GAIN,
  DRAIN_PACING_GAIN,
  MIN_PIPE_PACKETS,
  PACING_MARGIN_PERCENT,
  PROBE_RTT_CWND_GAIN,
  QUANTUM_MAX,
  QUANTUM_MIN_PACKETS,
  QUANTUM_TIME,
  STARTUP_PACING_GAIN,
  UP_CWND_GAIN,
  UP_PACING_GAIN,
} from './constants.ts';
import type { PathModel } from './model.ts';

export type BbrState = 'Startup' | 'Drain' | 'Down' | 'Cruise' | 'Refill' | 'Up' | 'ProbeRtt';

export function isProbeBw(state: BbrState): boolean {
  return state === 'Down' || state === 'Cruise' || state === 'Refill' || state === 'Up';
}

const PACING_GAIN: Readonly<Record<BbrState, number>> = {
  Startup: STARTUP_PACING_GAIN,
  Drain: DRAIN_PACING_GAIN,
  Down: DOWN_PACING_GAIN,
  Cruise: 1,
  Refill: 1,
  Up: UP_PACING_GAIN,
  ProbeRtt: 1,
};

const WINDOW_GAIN: Readonly<Record<BbrState, number>> = {
  Startup: CWND_GAIN,
  Drain: CWND_GAIN,
  Down: CWND_GAIN,
  Cruise: CWND_GAIN,
  Refill: CWND_GAIN,
  Up: UP_CWND_GAIN,
  ProbeRtt: PROBE_RTT_CWND_GAIN,
};

/**
 * What the model and the state come to (draft-ietf-ccwg-bbr §5.6): a rate to pace at, and a window as a safety net around it.
 *
 * One thing is added. The draft gives the window a floor of four datagrams and the rate none; under heavy random loss every
 * cycle then measures a lower rate than the one before, and the flow fades away with its window unused. So the rate has the
 * floor that the window implies: four datagrams in a round trip.
 */
export class Control {
  readonly #model: PathModel;
  readonly #bounds: Bounds;
  #mtu: number;
  #cwnd: number;
  #savedCwnd = 0;
  #pacingRate: number | undefined;
  #smoothedRtt = 0;
  /** BBR.bw: the rate to send at, max_bw within the short-term bound. */
  bw = 0;
  /** Fixed for one ProbeRTT. */
  probeRttWindow = 0;

  constructor(model: PathModel, bounds: Bounds, mtu: number) {
    this.#model = model;
    this.#bounds = bounds;
    this.#mtu = mtu;
    this.#cwnd = initialWindow(mtu);
  }

  get window(): number {
    return Math.floor(this.#cwnd);
  }

  get pacingRate(): number | undefined {
    return this.#pacingRate;
  }

  onMtuChange(mtu: number): void {
    this.#mtu = mtu;
    this.#cwnd = Math.max(this.#cwnd, MIN_PIPE_PACKETS * mtu);
  }

  onRtt(smoothedRtt: number): void {
    this.#smoothedRtt = smoothedRtt;
    if (this.#pacingRate !== undefined || smoothedRtt <= 0) return;
    // InitPacingRate (§5.6.2).
    this.#pacingRate = (STARTUP_PACING_GAIN * initialWindow(this.#mtu) * SECOND) / smoothedRtt;
  }

  /** BoundBWForModel and UpdateControlParameters. */
  update(state: BbrState, isFull: boolean, acked: number): void {
    this.bw = Math.min(this.#model.maxBw.value, this.#bounds.bwLo);
    this.paceAt(PACING_GAIN[state], isFull);
    this.#setWindow(state, isFull, acked);
  }

  /** SetPacingRateWithGain (§5.6.2): before the pipe was full, only upward. */
  paceAt(gain: number, isFull: boolean): void {
    if (this.#pacingRate === undefined) return;
    const rate = (gain * this.bw * (100 - PACING_MARGIN_PERCENT)) / 100;
    if (isFull || rate > this.#pacingRate) this.#pacingRate = Math.max(rate, this.#rateFloor());
  }

  /** Inflight(gain): what to have in flight at the present rate. */
  inflight(gain: number, state: BbrState): number {
    return this.inflightAt(this.bw, gain, state);
  }

  inflightAt(bw: number, gain: number, state: BbrState): number {
    const bdp = this.#model.bdp(bw);
    return this.#quantize(bdp === undefined ? initialWindow(this.#mtu) : gain * bdp, state);
  }

  /** The window before a loss or ProbeRTT, which `restoreWindow` brings back. */
  saveWindow(): void {
    this.#savedCwnd = this.#cwnd;
  }

  restoreWindow(): void {
    this.#cwnd = Math.max(this.#cwnd, this.#savedCwnd);
  }

  collapse(): void {
    this.#cwnd = MIN_PIPE_PACKETS * this.#mtu;
  }

  /** SetCwnd (§5.6.4.6). */
  #setWindow(state: BbrState, isFull: boolean, acked: number): void {
    const bdp = this.#model.bdp(this.bw);
    const extra = this.#model.extraAcked(!isFull);
    const most = this.#quantize(bdp === undefined ? initialWindow(this.#mtu) : WINDOW_GAIN[state] * bdp + extra, state);
    const least = MIN_PIPE_PACKETS * this.#mtu;
    if (isFull) this.#cwnd = Math.min(this.#cwnd + acked, most);
    else if (this.#cwnd < most || this.#model.delivered < initialWindow(this.#mtu)) this.#cwnd += acked;
    this.#cwnd = Math.min(Math.max(this.#cwnd, least), MAXIMUM_WINDOW);
    if (state === 'ProbeRtt') this.#cwnd = Math.min(this.#cwnd, Math.max(this.probeRttWindow, least));
    this.#cwnd = Math.min(this.#cwnd, Math.max(this.#cap(state), least));
  }

  /** BoundCwndForModel (§5.6.4.7). */
  #cap(state: BbrState): number {
    if (state === 'Cruise' || state === 'ProbeRtt') {
      return Math.min(this.#bounds.withHeadroom(this.#mtu), this.#bounds.inflightLo);
    }
    if (isProbeBw(state)) return Math.min(this.#bounds.inflightHi, this.#bounds.inflightLo);
    return this.#bounds.inflightLo;
  }

  /** QuantizationBudget (§5.6.4.2): room for a batch, for pipelining, and for a probe of a small pipe. */
  #quantize(inflight: number, state: BbrState): number {
    const enough = Math.max(inflight, this.#quantum(), MIN_PIPE_PACKETS * this.#mtu);
    return state === 'Up' ? enough + 2 * this.#mtu : enough;
  }

  /** SetSendQuantum (§5.6.3). */
  #quantum(): number {
    const bytes = Math.min(((this.#pacingRate ?? 0) * QUANTUM_TIME) / SECOND, QUANTUM_MAX);
    return Math.max(bytes, QUANTUM_MIN_PACKETS * this.#mtu);
  }

  #rateFloor(): number {
    return this.#smoothedRtt > 0 ? (MIN_PIPE_PACKETS * this.#mtu * SECOND) / this.#smoothedRtt : 0;
  }
}
