import { describe, expect, it } from 'vitest';
import type { TextRule } from '../../../wire/names.ts';
import {
  ascendingTexts,
  CAPABILITY,
  describeTextFault,
  HOST,
  isCapability,
  isHost,
  isName,
  isTag,
  NAME,
  TAG,
  textFault,
} from '../../../wire/names.ts';

const HYPHENATED = 'abcdefghijklmnopqrstuvwxyz0123456789-';

describe.each<[string, TextRule, number, string, (text: string) => boolean]>([
  ['a name', NAME, 63, HYPHENATED, isName],
  ['a tag', TAG, 32, HYPHENATED, isTag],
  ['a capability', CAPABILITY, 48, `${HYPHENATED}./:`, isCapability],
  ['a host', HOST, 64, `${HYPHENATED}ABCDEFGHIJKLMNOPQRSTUVWXYZ.:`, isHost],
])('%s', (_, rule, lengthMax, alphabet, isValid) => {
  it('is made of its alphabet and of nothing else', () => {
    for (let code = 0; code < 0x180; code++) {
      const character = String.fromCharCode(code);
      expect(isValid(`a${character}`), JSON.stringify(character)).toBe(alphabet.includes(character));
    }
  });

  it('has at least one character and as many as it may', () => {
    expect(textFault(rule, '')).toBe('empty');
    expect(textFault(rule, 'a'.repeat(lengthMax))).toBeUndefined();
    expect(textFault(rule, 'a'.repeat(lengthMax + 1))).toBe('too-long');
  });

  it('is refused in a sentence', () => {
    for (const fault of ['empty', 'too-long', 'forbidden-character'] as const) {
      expect(describeTextFault(rule, fault)).toMatch(/^A [a-z]+ .*\.$/);
    }
  });
});

describe('the order of texts', () => {
  it('is that of their bytes, each once', () => {
    expect(ascendingTexts(['b', 'a', '-', 'ab', 'a', '0', '/'])).toEqual(['-', '/', '0', 'a', 'ab', 'b']);
  });
});
