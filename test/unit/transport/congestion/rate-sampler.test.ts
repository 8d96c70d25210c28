import { describe, expect, it } from 'vitest';
import type { RateSample } from '../../../../transport/congestion/controller.ts';
import { DeliveryRecords, RateSampler } from '../../../../transport/congestion/rate-sampler.ts';
import { at } from './samples.ts';

/** A sampler with packets of 1,000 bytes, slot = number. */
class Wire {
  readonly sampler = new RateSampler();
  readonly records = new DeliveryRecords(64);
  readonly #sentAt: number[] = [];
  inFlight = 0;

  send(now: number): number {
    const number = this.#sentAt.length;
    this.#sentAt.push(now);
    this.inFlight += 1_000;
    this.sampler.onSent(this.records, number, 1_000, this.inFlight, at(now));
    return number;
  }

  ack(now: number, ...numbers: number[]): RateSample | undefined {
    for (const number of numbers) {
      this.inFlight -= 1_000;
      this.sampler.onAcked(this.records, number, number, 1_000, at(this.#sentAt[number]!), at(now));
    }
    return this.sampler.finish(0);
  }

  lose(count = 1): void {
    this.inFlight -= count * 1_000;
    this.sampler.onLost(count * 1_000);
  }
}

describe('the delivery rate (draft-ietf-ccwg-bbr §4.1)', () => {
  it('of the first packet is its size over its round trip', () => {
    const wire = new Wire();
    wire.send(0);
    expect(wire.ack(50_000, 0)).toEqual({
      deliveryRate: 20_000,
      delivered: 1_000,
      interval: 50_000,
      priorDelivered: 0,
      totalDelivered: 1_000,
      sentInFlight: 1_000,
      lost: 0,
      isAppLimited: false,
    });
  });

  it('is what arrived between the sending of a packet and its ACK, over that time', () => {
    const wire = new Wire();
    for (let n = 0; n < 10; n++) wire.send(n * 1_000);
    for (let n = 0; n < 5; n++) wire.ack(50_000 + n * 1_000, n);
    // Sent when 5,000 bytes had been delivered, the last at 54 ms.
    const next = wire.send(54_000);
    for (let n = 5; n < 10; n++) wire.ack(50_000 + n * 1_000, n);
    const sample = wire.ack(104_000, next);
    // 6,000 bytes in the 50 ms from 54 to 104 ms.
    expect([sample?.delivered, sample?.interval, sample?.deliveryRate]).toEqual([6_000, 50_000, 120_000]);
    expect([sample?.priorDelivered, sample?.totalDelivered]).toEqual([5_000, 11_000]);
  });

  it('takes the time of sending where that was longer: ACKs that come in one lump are no bandwidth', () => {
    const wire = new Wire();
    for (let n = 0; n < 10; n++) wire.send(n * 10_000);
    wire.ack(95_000, 0);
    // All at once: acknowledging the rest took 5 ms, sending it 90 ms from the first packet on.
    const sample = wire.ack(100_000, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    expect([sample?.delivered, sample?.interval]).toEqual([10_000, 100_000]);
  });

  it('goes by the newest packet of an ACK, in whatever order they are told', () => {
    const wire = new Wire();
    wire.send(0);
    wire.ack(10_000, 0);
    wire.send(10_000);
    wire.send(20_000);
    wire.lose(0);
    const sample = wire.ack(60_000, 2, 1);
    expect([sample?.sentInFlight, sample?.priorDelivered, sample?.interval]).toEqual([2_000, 1_000, 50_000]);
  });

  it('is 0 where the interval is shorter than the lowest RTT, and there is no sample without an ACK', () => {
    const sampler = new RateSampler();
    const records = new DeliveryRecords(4);
    sampler.onSent(records, 0, 1_000, 1_000, at(0));
    sampler.onAcked(records, 0, 0, 1_000, at(0), at(9_999));
    expect(sampler.finish(10_000)).toMatchObject({ deliveryRate: 0, delivered: 1_000, interval: 9_999 });
    expect(sampler.finish(10_000)).toBeUndefined();
  });

  it('starts anew when the pipe was empty: a pause is no slowness', () => {
    const wire = new Wire();
    wire.send(0);
    wire.ack(50_000, 0);
    wire.send(10_000_000);
    expect(wire.ack(10_050_000, 1)).toMatchObject({ deliveryRate: 20_000, interval: 50_000 });
  });

  it('counts what was lost since a packet was sent', () => {
    const wire = new Wire();
    for (let n = 0; n < 6; n++) wire.send(n);
    wire.lose(2);
    const slot = wire.send(100);
    wire.lose(1);
    expect(wire.sampler.lostSince(wire.records, slot)).toBe(1_000);
    expect(wire.sampler.lostSince(wire.records, 0)).toBe(3_000);
    expect(wire.ack(50_000, slot)?.lost).toBe(1_000);
  });

  it('marks what is sent after the application held back, until what was in flight then has arrived', () => {
    const wire = new Wire();
    wire.send(0);
    wire.send(1);
    wire.sampler.onAppLimited(wire.inFlight);
    expect(wire.sampler.isAppLimited).toBe(true);
    const marked = wire.send(10);
    expect(wire.ack(50_000, 0, 1)?.isAppLimited).toBe(false);
    expect(wire.sampler.isAppLimited).toBe(true);
    expect(wire.ack(50_010, marked)?.isAppLimited).toBe(true);
    expect(wire.sampler.isAppLimited).toBe(false);
    const unmarked = wire.send(60_000);
    expect(wire.ack(110_000, unmarked)?.isAppLimited).toBe(false);
  });

  it('keeps a packet that moves to another slot', () => {
    const wire = new Wire();
    wire.send(0);
    const larger = new DeliveryRecords(128);
    wire.records.copy(0, larger, 100);
    wire.sampler.onAcked(larger, 100, 0, 1_000, at(0), at(50_000));
    expect(wire.sampler.finish(0)).toMatchObject({ deliveryRate: 20_000, sentInFlight: 1_000 });
  });
});
