import { describe, expect, it } from 'vitest';
import { instant, MILLISECOND, NEVER, SECOND } from '../../../base/time.ts';
import { AEAD_TAG_BYTES, type Aead } from '../../../crypto/backend.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { Session } from '../../../transport/session.ts';
import { SessionSet } from '../../../transport/session-set.ts';

const PTO = 200 * MILLISECOND;
const at = (ms: number) => instant(ms * MILLISECOND);

/** Opens and seals whatever it is given: the set does not look inside. */
const OPEN_AEAD: Aead = {
  seal: (_nonce, _aad, plaintext, _out, _start, length = plaintext.length) => length + AEAD_TAG_BYTES,
  open: (_nonce, _aad, sealed, _out, _start, length = sealed.length) => length - AEAD_TAG_BYTES,
  wipe: () => {},
};

interface Wanted {
  readonly generation?: number;
  readonly ours?: boolean;
  readonly byLower?: boolean;
  readonly createdAt?: number;
}

let nextId = 1;

function session(wanted: Wanted = {}): Session {
  const { generation = 1, ours = true, byLower = ours, createdAt = 0 } = wanted;
  const id = nextId++;
  return new Session(
    {
      localId: id,
      remoteId: id,
      generation,
      initiatedLocally: ours,
      initiatedByLower: byLower,
      sealing: OPEN_AEAD,
      opening: OPEN_AEAD,
    },
    at(createdAt),
  );
}

interface Subject {
  readonly set: SessionSet;
  readonly dropped: Session[];
}

function sessionSet(): Subject {
  const dropped: Session[] = [];
  return { set: new SessionSet((one) => dropped.push(one)), dropped };
}

function hear(one: Session, ms: number): void {
  const packet = {
    kind: 'data' as const,
    receiverSession: one.localId,
    packetNumber: 0,
    bytes: new Uint8Array(16 + 1 + AEAD_TAG_BYTES),
    start: 0,
    end: 16 + 1 + AEAD_TAG_BYTES,
  };
  one.open(packet, at(ms));
}

describe('the sessions of a tunnel', () => {
  it('are none at first, and nothing is sent in', () => {
    const { set } = sessionSet();
    expect([set.sending, set.all, set.highestGeneration, set.nextExpiry(PTO, at(0))]).toEqual([
      undefined,
      [],
      0,
      NEVER,
    ]);
  });

  it('are ordered by generation, the highest first, then by whose initiator has the lower key', () => {
    const { set } = sessionSet();
    const sessions = {
      oldLower: session({ generation: 1, ours: true }),
      newHigher: session({ generation: 3, ours: false }),
      newLower: session({ generation: 3, ours: true }),
      middle: session({ generation: 2, ours: false }),
    };
    for (const one of Object.values(sessions)) set.add(one, at(0));
    expect(set.all).toEqual([sessions.newLower, sessions.newHigher, sessions.middle, sessions.oldLower]);
    expect(set.highestGeneration).toBe(3);
  });

  it('before one is confirmed, are sent in where we initiated, and nowhere else', () => {
    const { set } = sessionSet();
    const theirs = session({ generation: 2, ours: false });
    set.add(theirs, at(0));
    expect(set.sending).toBeUndefined();
    const ours = session({ generation: 1 });
    set.add(ours, at(0));
    expect(set.sending).toBe(ours);
  });

  it('are sent in only where the peer was heard, once it was', () => {
    const { set } = sessionSet();
    const old = session({ generation: 1, ours: false });
    set.add(old, at(0));
    set.confirm(old, at(1));
    const fresh = session({ generation: 2 });
    set.add(fresh, at(2));
    expect(set.sending).toBe(old);
    set.confirm(fresh, at(3));
    expect(set.sending).toBe(fresh);
  });

  it('that crossed end in the one that the lower key initiated, at both sides and in any order', () => {
    const actions = ['add lower', 'add higher', 'confirm lower', 'confirm higher'] as const;
    for (const weAreLower of [true, false]) {
      for (let seed = 0; seed < 50; seed++) {
        const rng = new SeededRng(seed);
        const { set } = sessionSet();
        const byLower = session({ ours: weAreLower, byLower: true });
        const byHigher = session({ ours: !weAreLower, byLower: false });
        const left = new Set<(typeof actions)[number]>(actions);
        while (left.size > 0) {
          const possible = [...left].filter(
            (one) => one.startsWith('add') || !left.has(one.replace('confirm', 'add') as never),
          );
          const action = rng.pick(possible);
          left.delete(action);
          const one = action.endsWith('lower') ? byLower : byHigher;
          if (action.startsWith('add')) set.add(one, at(0));
          else set.confirm(one, at(0));
        }
        expect(set.sending, `seed ${seed}`).toBe(byLower);
        expect(byHigher.replacedAt, `seed ${seed}`).toBe(0);
        expect(byLower.replacedAt, `seed ${seed}`).toBeUndefined();
      }
    }
  });

  it('that come after a better one was confirmed are on their way out from the start', () => {
    const { set } = sessionSet();
    const better = session({ ours: true });
    set.add(better, at(0));
    set.confirm(better, at(10));
    const late = session({ ours: false });
    set.add(late, at(20));
    expect(set.sending).toBe(better);
    expect(late.replacedAt).toBe(at(20));
    // Being heard in it does not bring it back.
    set.confirm(late, at(30));
    expect(set.sending).toBe(better);
    expect(late.replacedAt).toBe(at(20));
  });
});

describe('a session that nobody confirmed', () => {
  it('is dropped after 5 s when the peer initiated it', () => {
    const { set, dropped } = sessionSet();
    const theirs = session({ ours: false, createdAt: 100 });
    set.add(theirs, at(100));
    expect(set.nextExpiry(PTO, at(0))).toBe(at(5_100));
    set.expire(PTO, at(0), at(5_099));
    expect(dropped).toEqual([]);
    set.expire(PTO, at(0), at(5_100));
    expect(dropped).toEqual([theirs]);
    expect(set.all).toEqual([]);
  });

  it('is dropped after 5 s when we initiated it and the peer was heard elsewhere since', () => {
    const { set, dropped } = sessionSet();
    const old = session({ generation: 1 });
    set.add(old, at(0));
    set.confirm(old, at(0));
    const fresh = session({ generation: 2, createdAt: 100 });
    set.add(fresh, at(100));
    set.expire(PTO, at(200), at(5_100));
    expect(dropped).toEqual([fresh]);
    expect(set.sending).toBe(old);
  });

  it('is kept when we initiated it and nothing was heard at all: the peer may be sending in it', () => {
    const { set, dropped } = sessionSet();
    const ours = session({ createdAt: 100 });
    set.add(ours, at(100));
    expect(set.nextExpiry(PTO, at(100))).toBe(NEVER);
    set.expire(PTO, at(100), at(600_000));
    expect(dropped).toEqual([]);
    expect(set.sending).toBe(ours);
  });
});

describe('a session that a better one has replaced', () => {
  function replaced(): Subject & { old: Session; fresh: Session } {
    const subject = sessionSet();
    const old = session({ generation: 1 });
    subject.set.add(old, at(0));
    subject.set.confirm(old, at(0));
    const fresh = session({ generation: 2, createdAt: 900 });
    subject.set.add(fresh, at(900));
    subject.set.confirm(fresh, at(1_000));
    return { ...subject, old, fresh };
  }

  it('is dropped 3 probe timeouts later when nothing opens in it', () => {
    const { set, dropped, old, fresh } = replaced();
    expect(set.nextExpiry(PTO, at(1_000))).toBe(at(1_600));
    set.expire(PTO, at(1_500), at(1_599));
    expect(dropped).toEqual([]);
    set.expire(PTO, at(1_500), at(1_600));
    expect(dropped).toEqual([old]);
    expect(set.all).toEqual([fresh]);
    expect(set.nextExpiry(PTO, at(1_600))).toBe(NEVER);
  });

  it('lives on while packets open in it', () => {
    const { set, dropped, old } = replaced();
    for (let ms = 1_100; ms <= 5_000; ms += 500) {
      hear(old, ms);
      set.expire(PTO, at(ms), at(ms + 499));
      expect(dropped, `${ms} ms`).toEqual([]);
    }
    expect(set.nextExpiry(PTO, at(5_000))).toBe(at(4_600 + 600));
  });

  it('is dropped after 10 s, whatever opens in it', () => {
    const { set, dropped, old } = replaced();
    for (let ms = 1_100; ms < 11_000; ms += 100) {
      hear(old, ms);
      set.expire(PTO, at(ms), at(ms));
    }
    expect(dropped).toEqual([]);
    expect(set.nextExpiry(PTO, at(10_990))).toBe(at(11_000));
    set.expire(PTO, at(11_000), at(11_000));
    expect(dropped).toEqual([old]);
  });

  it('is replaced once: another better one does not give it more time', () => {
    const { set, old } = replaced();
    const third = session({ generation: 3, createdAt: 1_200 });
    set.add(third, at(1_200));
    set.confirm(third, at(1_300));
    expect(old.replacedAt).toBe(at(1_000));
    expect(set.nextExpiry(PTO, at(1_300))).toBe(at(1_600));
  });
});

describe('the bound of sixteen sessions', () => {
  it('drops the last in order, never the one that traffic goes in', () => {
    const { set, dropped } = sessionSet();
    const first = session({ generation: 1 });
    set.add(first, at(0));
    set.confirm(first, at(0));
    const others = Array.from({ length: 40 }, (_, i) => session({ generation: 2 + i }));
    for (const one of others) {
      set.add(one, at(0));
      expect(set.all.length).toBeLessThanOrEqual(16);
      expect(set.sending).toBe(first);
    }
    expect(set.all).toHaveLength(16);
    expect(dropped).toEqual(others.slice(0, 25));
  });

  it('tells of every session that leaves, once', () => {
    const { set, dropped } = sessionSet();
    const sessions = Array.from({ length: 20 }, (_, i) => session({ generation: 1 + i }));
    for (const one of sessions) set.add(one, at(0));
    set.expire(PTO, instant(SECOND), at(60_000));
    set.clear();
    expect(set.sending).toBeUndefined();
    expect(new Set(dropped).size).toBe(sessions.length);
    expect(dropped).toHaveLength(sessions.length);
  });
});
