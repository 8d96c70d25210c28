import type { Pattern, Role, Token } from '../../crypto/noise.ts';

/** Noise revision 34, §7.4 (one-way), §7.5 (interactive) and §18.1 (deferred), in its own notation. */
const PATTERNS: Readonly<Record<string, string>> = {
  N: '<- s ... -> e, es',
  K: '-> s <- s ... -> e, es, ss',
  X: '<- s ... -> e, es, s, ss',

  NN: '-> e <- e, ee',
  NK: '<- s ... -> e, es <- e, ee',
  NX: '-> e <- e, ee, s, es',
  XN: '-> e <- e, ee -> s, se',
  XK: '<- s ... -> e, es <- e, ee -> s, se',
  XX: '-> e <- e, ee, s, es -> s, se',
  KN: '-> s ... -> e <- e, ee, se',
  KK: '-> s <- s ... -> e, es, ss <- e, ee, se',
  KX: '-> s ... -> e <- e, ee, se, s, es',
  IN: '-> e, s <- e, ee, se',
  IK: '<- s ... -> e, es, s, ss <- e, ee, se',
  IX: '-> e, s <- e, ee, se, s, es',

  NK1: '<- s ... -> e <- e, ee, es',
  NX1: '-> e <- e, ee, s -> es',
  X1N: '-> e <- e, ee -> s <- se',
  X1K: '<- s ... -> e, es <- e, ee -> s <- se',
  XK1: '<- s ... -> e <- e, ee, es -> s, se',
  X1K1: '<- s ... -> e <- e, ee, es -> s <- se',
  X1X: '-> e <- e, ee, s, es -> s <- se',
  XX1: '-> e <- e, ee, s -> es, s, se',
  X1X1: '-> e <- e, ee, s -> es, s <- se',
  K1N: '-> s ... -> e <- e, ee -> se',
  K1K: '-> s <- s ... -> e, es <- e, ee -> se',
  KK1: '-> s <- s ... -> e <- e, ee, se, es',
  K1K1: '-> s <- s ... -> e <- e, ee, es -> se',
  K1X: '-> s ... -> e <- e, ee, s, es -> se',
  KX1: '-> s ... -> e <- e, ee, se, s -> es',
  K1X1: '-> s ... -> e <- e, ee, s -> se, es',
  I1N: '-> e, s <- e, ee -> se',
  I1K: '<- s ... -> e, es, s <- e, ee -> se',
  IK1: '<- s ... -> e, s <- e, ee, se, es',
  I1K1: '<- s ... -> e, s <- e, ee, es -> se',
  I1X: '-> e, s <- e, ee, s, es -> se',
  IX1: '-> e, s <- e, ee, se, s -> es',
  I1X1: '-> e, s <- e, ee, s -> se, es',
};

/** A pattern by its name with modifiers, as in `XXpsk0+psk3`. */
export function patternOf(name: string): Pattern {
  const [, base = '', modifiers = ''] = /^([A-Z0-9]+)(psk.*)?$/.exec(name) ?? [];
  const notation = PATTERNS[base];
  if (notation === undefined) throw new RangeError(`no Noise pattern is called ${name}`);
  const [before, after] = notation.includes('...') ? notation.split('...') : ['', notation];
  const messages = linesOf(after!).map((line) => line.tokens);
  for (const modifier of modifiers.split('+').filter((text) => text !== '')) {
    // §9.4: psk0 begins the first message, psk1 ends it, psk2 ends the second, and so on.
    const place = Number(modifier.slice('psk'.length));
    if (place === 0) messages[0]!.unshift('psk');
    else messages[place - 1]!.push('psk');
  }
  const known = linesOf(before!);
  const preMessage = (role: Role) => (known.some((line) => line.from === role) ? (['s'] as const) : []);
  return { name, preMessages: { initiator: preMessage('initiator'), responder: preMessage('responder') }, messages };
}

function linesOf(notation: string): { readonly from: Role; readonly tokens: Token[] }[] {
  return Array.from(notation.matchAll(/(->|<-)([a-z, ]+)/g), ([, arrow, tokens]) => ({
    from: arrow === '->' ? 'initiator' : 'responder',
    tokens: tokens!.split(',').map((token) => token.trim() as Token),
  }));
}
