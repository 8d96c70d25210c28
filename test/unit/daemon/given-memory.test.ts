import { describe, expect, it } from 'vitest';
import { GivenMemory } from '../../../daemon/given-memory.ts';
import { WORTHWHILE_BYTES } from '../../../ipc/free-memory.ts';

describe('memory that was given', () => {
  it('is freed once every byte of it is done with, and not before', () => {
    const memory = new GivenMemory();
    const bytes = new Uint8Array(10_000);
    memory.give(bytes);
    memory.done(bytes.subarray(0, 4_000));
    memory.done(bytes.subarray(7_000));
    expect(bytes.length).toBe(10_000);
    memory.done(bytes.subarray(4_000, 7_000));
    expect(bytes.length).toBe(0);
  });

  it('is what was given: a part of something, something small, or what nobody gave is left alone', () => {
    const memory = new GivenMemory();
    const whole = new Uint8Array(10_000);
    const part = whole.subarray(0, 9_000);
    const small = new Uint8Array(WORTHWHILE_BYTES - 1);
    const foreign = new Uint8Array(10_000);
    memory.give(part);
    memory.give(small);
    for (const bytes of [part, small, foreign]) memory.done(bytes);
    expect([part.length, small.length, foreign.length]).toEqual([9_000, WORTHWHILE_BYTES - 1, 10_000]);
  });

  it('is not owed twice when what is left of it is offered again', () => {
    const memory = new GivenMemory();
    const bytes = new Uint8Array(10_000);
    memory.give(bytes);
    memory.done(bytes.subarray(0, 6_000));
    memory.give(bytes);
    memory.done(bytes.subarray(6_000));
    expect(bytes.length).toBe(0);
  });
});
