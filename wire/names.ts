/** The texts a record holds: PROTOCOL.md §8 gives their alphabets and lengths. All are ASCII, one byte a character. */

export interface TextRule {
  /** What a person calls it. */
  readonly what: string;
  readonly lengthMax: number;
  /** The characters it is made of, as a sentence names them. */
  readonly characters: string;
  readonly pattern: RegExp;
}

export const NAME: TextRule = {
  what: 'name',
  lengthMax: 63,
  characters: 'lower-case letters, digits and hyphens',
  pattern: /^[a-z0-9-]*$/,
};

export const TAG: TextRule = {
  what: 'tag',
  lengthMax: 32,
  characters: 'lower-case letters, digits and hyphens',
  pattern: /^[a-z0-9-]*$/,
};

export const CAPABILITY: TextRule = {
  what: 'capability',
  lengthMax: 48,
  characters: 'lower-case letters, digits, hyphens, full stops, slashes and colons',
  pattern: /^[a-z0-9./:-]*$/,
};

/** Of a home rendezvous: a host name or an IP address in text. */
export const HOST: TextRule = {
  what: 'host',
  lengthMax: 64,
  characters: 'letters, digits, hyphens, full stops and colons',
  pattern: /^[A-Za-z0-9.:-]*$/,
};

export type TextFault = 'empty' | 'too-long' | 'forbidden-character';

/** Why a text breaks a rule, or `undefined` where it does not. */
export function textFault(rule: TextRule, text: string): TextFault | undefined {
  if (text.length === 0) return 'empty';
  if (text.length > rule.lengthMax) return 'too-long';
  return rule.pattern.test(text) ? undefined : 'forbidden-character';
}

/** One sentence for the person who typed it; it does not repeat what they typed. */
export function describeTextFault(rule: TextRule, fault: TextFault): string {
  switch (fault) {
    case 'empty':
      return `A ${rule.what} has at least one character.`;
    case 'too-long':
      return `A ${rule.what} has at most ${rule.lengthMax} characters.`;
    case 'forbidden-character':
      return `A ${rule.what} is made of ${rule.characters}.`;
  }
}

export function isName(text: string): boolean {
  return textFault(NAME, text) === undefined;
}

export function isTag(text: string): boolean {
  return textFault(TAG, text) === undefined;
}

export function isCapability(text: string): boolean {
  return textFault(CAPABILITY, text) === undefined;
}

export function isHost(text: string): boolean {
  return textFault(HOST, text) === undefined;
}

/** Sorted as a record wants it, each text once. ASCII, so the order of UTF-16 units is the order of bytes. */
export function ascendingTexts(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((a, b) => (a < b ? -1 : 1));
}
