import { describe, expect, it } from 'vitest';
import { fromHex } from '../../../base/bytes.ts';
import { instant } from '../../../base/time.ts';
import { simAddress } from '../../../sim/address.ts';
import { Trace } from '../../../sim/trace.ts';
import type { WireEvent } from '../../../sim/wire-event.ts';

function event(hex: string, changes: Partial<WireEvent> = {}): WireEvent {
  return {
    time: instant(1_234_567),
    fate: 'sent',
    cause: undefined,
    fromHost: 'a',
    toHost: 'b',
    from: simAddress('10.0.0.1', 1),
    to: simAddress('10.0.0.2', 1),
    bytes: fromHex(hex),
    id: 42,
    origin: 'original',
    corruption: undefined,
    ...changes,
  };
}

function line(hex: string, changes: Partial<WireEvent> = {}): string {
  const trace = new Trace();
  trace.datagram(event(hex, changes));
  return trace.lines()[0]!;
}

describe('a trace', () => {
  it.each([
    ['13000022c0ffee0100000000000001005a5a', 'data session c0ffee01 number 256, 18 bytes'],
    ['13000022c0ffee0100100000000000005a5a', 'data session c0ffee01 number 4503599627370496, 18 bytes'],
    ['100004b000010000deadbeef', 'initiation from session deadbeef, 12 bytes'],
    ['110004b000010000deadbeef0a0b0c0d', 'response from session deadbeef session 0a0b0c0d, 16 bytes'],
    ['1200002801020304', 'cookie session 01020304, 8 bytes'],
    ['0001000021', 'stun, 5 bytes'],
    ['13000022c0', 'data cut short, 5 bytes'],
    ['7f', 'type 0x7f, 1 bytes'],
    ['', 'empty, 0 bytes'],
  ])('reads %s', (hex, text) => {
    expect(line(hex)).toBe(`1234.567 ms  a > b  #42  ${text}  sent`);
  });

  it('says what became of a datagram and of its copies', () => {
    expect(line('00', { fate: 'dropped', cause: 'lost' })).toMatch(/ {2}dropped: lost$/);
    expect(line('00', { fate: 'delivered', origin: 'replay' })).toMatch(/ {2}delivered, replay$/);
    expect(line('00', { fate: 'delivered', corruption: 'bit' })).toMatch(/ {2}delivered, bit corrupted$/);
  });

  it('keeps the last events only, the oldest first, notes among them', () => {
    const trace = new Trace({ capacity: 3 });
    for (let id = 1; id <= 4; id++) trace.datagram(event('00', { id }));
    trace.note({ time: instant(1_500), host: 'b', text: 'read 5 bytes' });
    const lines = trace.lines();
    expect(lines.map((text) => /#\d+/.exec(text)?.[0])).toEqual(['#3', '#4', undefined]);
    expect(lines[2]).toBe('1.500 ms  b  read 5 bytes');
  });

  it('does not keep the bytes it was lent', () => {
    const trace = new Trace();
    const sent = event('13000022c0ffee0100000000000001005a5a');
    trace.datagram(sent);
    sent.bytes.fill(0);
    expect(trace.lines()[0]).toContain('number 256');
  });

  it('prints every line as it happens where it is live', () => {
    const printed: string[] = [];
    const trace = new Trace({ capacity: 1, live: (text) => printed.push(text) });
    trace.datagram(event('00'));
    trace.datagram(event('01'));
    expect(printed.length).toBe(2);
    expect(printed[1]).toBe(trace.lines()[0]);
  });
});
