import { describe, expect, it } from 'vitest';
import { toHex } from '../../../base/bytes.ts';
import { after, instant, NEVER, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import {
  AMPLIFICATION_LIMIT,
  PATH_CHALLENGES_MAX,
  PATH_VALIDATION_LIFETIME,
  PATHS_MAX,
} from '../../../transport/constants.ts';
import { Path, PathTable } from '../../../transport/path.ts';
import type { Route } from '../../../transport/route.ts';
import { directRoute, relayedRoute } from '../../../transport/route.ts';
import { ipEndpoint } from '../../../wire/ip-endpoint.ts';

const START = instant(0);

function route(name: string): Route {
  return { key: name, source: name };
}

function candidate(): Path {
  return new Path(route('candidate'));
}

describe('a path that has not proved itself', () => {
  it('may be sent three times the bytes that came from it, and not one more', () => {
    const path = candidate();
    expect(path.allowance).toBe(0);
    path.bytesReceived += 100;
    expect(path.allowance).toBe(AMPLIFICATION_LIMIT * 100);
    path.bytesSent += 299;
    expect(path.allowance).toBe(1);
    path.bytesSent += 1;
    expect(path.allowance).toBe(0);
    path.bytesReceived += 33;
    expect(path.allowance).toBe(99);
  });

  it('has an allowance of nothing, not less, when more was sent than it earned', () => {
    const path = candidate();
    path.bytesReceived = 10;
    path.bytesSent = 1_000;
    expect(path.allowance).toBe(0);
  });

  it('has no limit once a challenge was answered', () => {
    const path = candidate();
    path.validate(START);
    expect(path.allowance).toBeGreaterThan(2 ** 40);
  });
});

describe('a path challenge', () => {
  it('goes out at once, then after one and two probe timeouts, and then no more', () => {
    const path = candidate();
    const timeout = path.rtt.probeTimeout;
    path.startChallenge(new SeededRng(1), START);
    const sent: number[] = [];
    for (let now = path.challengeDue; now !== NEVER; now = path.challengeDue) {
      if (path.takeChallenge(now) !== undefined) sent.push(now);
    }
    expect(sent).toEqual([0, timeout, 3 * timeout]);
    expect(sent).toHaveLength(PATH_CHALLENGES_MAX);
    expect(path.isChallenged).toBe(false);
  });

  it('has the same unpredictable token every time', () => {
    const path = candidate();
    path.startChallenge(new SeededRng(1), START);
    const tokens = Array.from({ length: PATH_CHALLENGES_MAX }, (_, i) => path.takeChallenge(instant(i))!);
    expect(tokens[0]).toHaveLength(8);
    expect(new Set(tokens.map(toHex)).size).toBe(1);
    const other = candidate();
    other.startChallenge(new SeededRng(2), START);
    expect(other.takeChallenge(START)).not.toEqual(tokens[0]);
  });

  it('that is started again while it runs goes on as it was', () => {
    const path = candidate();
    const rng = new SeededRng(1);
    path.startChallenge(rng, START);
    const token = path.takeChallenge(START);
    const due = path.challengeDue;
    path.startChallenge(rng, instant(1));
    expect(path.challengeDue).toBe(due);
    expect(path.takeChallenge(due)).toEqual(token);
  });

  it('is answered by its own token alone', () => {
    const path = candidate();
    path.startChallenge(new SeededRng(1), START);
    const token = path.takeChallenge(START)!;
    expect(path.isAnsweredBy(token.slice())).toBe(true);
    for (let i = 0; i < token.length; i++) {
      const wrong = token.slice();
      wrong[i]! ^= 1;
      expect(path.isAnsweredBy(wrong)).toBe(false);
    }
    expect(path.isAnsweredBy(token.subarray(0, 7))).toBe(false);
    expect(path.isAnsweredBy(new Uint8Array(0))).toBe(false);
  });

  it('is answered by a late answer to any of its tries', () => {
    const path = candidate();
    path.startChallenge(new SeededRng(1), START);
    const first = path.takeChallenge(START)!.slice();
    path.takeChallenge(path.challengeDue);
    path.takeChallenge(path.challengeDue);
    expect(path.isAnsweredBy(first)).toBe(true);
  });

  it('is not answered before it was sent, nor after it is over', () => {
    const path = candidate();
    expect(path.isAnsweredBy(new Uint8Array(8))).toBe(false);
    const guess = new Uint8Array(8);
    new SeededRng(1).fill(guess);
    path.startChallenge(new SeededRng(1), START);
    expect(path.isAnsweredBy(guess)).toBe(false);
    const token = path.takeChallenge(START)!;
    expect(token).toEqual(guess);
    path.validate(instant(1));
    expect([path.challengeDue, path.isChallenged, path.isAnsweredBy(token)]).toEqual([NEVER, false, false]);
  });

  it('that was answered makes further ones unnecessary for 30 s', () => {
    const path = candidate();
    expect(path.wasValidatedLately(START)).toBe(false);
    path.validate(START);
    expect(path.wasValidatedLately(instant(PATH_VALIDATION_LIFETIME - 1))).toBe(true);
    expect(path.wasValidatedLately(instant(PATH_VALIDATION_LIFETIME))).toBe(false);
    expect(path.isValidated).toBe(true);
  });
});

describe('the table of paths', () => {
  function filled(validatedAt: (index: number) => number | undefined): PathTable {
    const table = new PathTable();
    for (let i = 0; i < PATHS_MAX; i++) {
      const at = validatedAt(i);
      const path = table.getOrAdd(route(`${i}`))!;
      if (at !== undefined) path.validate(instant(at));
    }
    return table;
  }

  function names(table: PathTable): string[] {
    return table.all.map((path) => path.route.key).sort();
  }

  it('has one path for a route, however often it is asked and whichever object names it', () => {
    const table = new PathTable();
    const path = table.getOrAdd(route('here'));
    expect(table.getOrAdd(route('here'))).toBe(path);
    expect(table.get(route('here'))).toBe(path);
    expect(table.get(route('elsewhere'))).toBeUndefined();
    expect(table.all).toHaveLength(1);
  });

  it('holds eight; the oldest candidate gives way', () => {
    const table = filled((i) => (i === 0 || i === 5 ? i : undefined));
    table.activate(table.get(route('0'))!);
    table.getOrAdd(route('new'));
    expect(names(table)).toEqual(['0', '2', '3', '4', '5', '6', '7', 'new']);
    table.getOrAdd(route('newer'));
    expect(names(table)).toEqual(['0', '3', '4', '5', '6', '7', 'new', 'newer']);
    expect(table.all).toHaveLength(PATHS_MAX);
  });

  it('however many candidates come, keeps the paths that proved themselves and the active one', () => {
    const table = filled((i) => (i < 3 ? i : undefined));
    table.activate(table.get(route('1'))!);
    for (let i = 0; i < 10_000; i++) {
      expect(table.getOrAdd(route(`forged ${i}`))).toBeDefined();
      if (table.all.length > PATHS_MAX) expect.fail(`${table.all.length} paths`);
    }
    expect(names(table).slice(0, 3)).toEqual(['0', '1', '2']);
    expect(table.active?.route.key).toBe('1');
  });

  it('without candidates lets the path go that was validated longest ago', () => {
    const table = filled((i) => 100 - i);
    table.activate(table.get(route('7'))!);
    table.getOrAdd(route('new'));
    expect(names(table)).toEqual(['0', '1', '2', '3', '4', '5', '7', 'new']);
  });

  it('never lets the active path go, even as a candidate, and not when it is told to', () => {
    const table = filled(() => undefined);
    const active = table.get(route('0'))!;
    table.activate(active);
    for (let i = 0; i < 20; i++) table.getOrAdd(route(`forged ${i}`));
    table.remove(active);
    expect(table.active).toBe(active);
    expect(table.get(route('0'))).toBe(active);
  });

  it('knows when the next challenge is due on any path', () => {
    const table = new PathTable();
    expect(table.nextChallengeDue()).toBe(NEVER);
    const [first, second] = [table.getOrAdd(route('1'))!, table.getOrAdd(route('2'))!];
    first.startChallenge(new SeededRng(1), after(START, 2 * SECOND));
    second.startChallenge(new SeededRng(1), after(START, SECOND));
    expect(table.nextChallengeDue()).toBe(SECOND);
    second.validate(START);
    expect(table.nextChallengeDue()).toBe(2 * SECOND);
    table.remove(first);
    expect(table.nextChallengeDue()).toBe(NEVER);
  });
});

describe('a route', () => {
  const v4 = (last: number, port: number) => directRoute(0, ipEndpoint(Uint8Array.of(192, 0, 2, last), port));
  const v6 = (last: number) => {
    const address = new Uint8Array(16);
    address.set([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, last < 256 ? 0 : 1]);
    address[15] = last & 0xff;
    return directRoute(0, ipEndpoint(address, 4440));
  };

  it('is another for another address, port, socket or way through a relay', () => {
    const endpoint = ipEndpoint(Uint8Array.of(192, 0, 2, 1), 1);
    const keys = [v4(1, 1), v4(2, 1), v4(1, 2), directRoute(1, endpoint), v6(1), relayedRoute('r', 1)].map(
      (r) => r.key,
    );
    expect(new Set([...keys, relayedRoute('r', 2).key, relayedRoute('s', 1).key]).size).toBe(8);
    expect(directRoute(0, endpoint).key).toBe(v4(1, 1).key);
  });

  it('counts strangers by IPv4 address and by IPv6 /64', () => {
    expect(v4(1, 1).source).toBe(v4(1, 2).source);
    expect(v4(1, 1).source).not.toBe(v4(2, 1).source);
    expect(v6(1).source).toBe(v6(2).source);
    expect(v6(1).source).not.toBe(v6(256).source);
  });
});
