import { describe, expect, it } from 'vitest';
import { after, earliest, instant, NEVER } from '../../../base/time.ts';
import { Timers } from '../../../base/timers.ts';

const NAMES = ['probe', 'close', 'peer'] as const;

function timers(): Timers<(typeof NAMES)[number]> {
  return new Timers(NAMES);
}

describe('timers', () => {
  it('are all stopped at first', () => {
    const subject = timers();
    expect(NAMES.map((name) => subject.get(name))).toEqual([NEVER, NEVER, NEVER]);
    expect(subject.next()).toBe(NEVER);
    expect(subject.takeDue(instant(Number.MAX_SAFE_INTEGER))).toBeUndefined();
  });

  it('name the earliest deadline', () => {
    const subject = timers();
    subject.set('peer', instant(30));
    subject.set('probe', instant(10));
    subject.set('close', instant(20));
    expect(subject.next()).toBe(10);
    subject.stop('probe');
    expect(subject.next()).toBe(20);
  });

  it('are due from their time on, not before', () => {
    const subject = timers();
    subject.set('close', instant(20));
    expect(subject.takeDue(instant(19))).toBeUndefined();
    expect(subject.takeDue(instant(20))).toBe('close');
  });

  it('fire once, and only those that are due', () => {
    const subject = timers();
    subject.set('peer', instant(10));
    subject.set('probe', instant(11));
    expect(subject.takeDue(instant(10))).toBe('peer');
    expect(subject.takeDue(instant(10))).toBeUndefined();
    expect(subject.get('peer')).toBe(NEVER);
    expect(subject.next()).toBe(11);
  });

  it('that are due together fire in the order of their names', () => {
    const subject = timers();
    for (const [index, name] of [...NAMES].reverse().entries()) subject.set(name, instant(index));
    const due = [subject.takeDue(instant(9)), subject.takeDue(instant(9)), subject.takeDue(instant(9))];
    expect(due).toEqual(NAMES);
  });

  it('set again have only the new deadline', () => {
    const subject = timers();
    subject.set('probe', instant(10));
    subject.set('probe', instant(50));
    expect(subject.takeDue(instant(49))).toBeUndefined();
    subject.set('probe', instant(5));
    expect(subject.takeDue(instant(5))).toBe('probe');
    expect(subject.takeDue(instant(50))).toBeUndefined();
  });
});

describe('instants', () => {
  it('come before never', () => {
    expect(earliest(instant(5), NEVER)).toBe(5);
    expect(earliest(NEVER, instant(5))).toBe(5);
    expect(earliest(instant(4), instant(5))).toBe(4);
    expect(NEVER > instant(Number.MAX_SAFE_INTEGER)).toBe(true);
  });

  it('move on by spans, and never stays never', () => {
    expect(after(instant(5), 7)).toBe(12);
    expect(after(NEVER, 7)).toBe(NEVER);
  });
});
