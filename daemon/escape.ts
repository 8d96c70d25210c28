/**
 * Text from elsewhere, made fit to be printed. A peer, a record, a file name or an error of the system may hold anything: a line
 * break that forges a second log line, an escape sequence that drives the terminal, marks that turn the reading order round
 * (CVE-2021-42574), characters nobody sees. All of these are shown as what they are; the backslash too, so that nothing can look
 * as if it had been escaped.
 */

/** Enough for any name, address or sentence of ours; what is longer is cut. */
export const ESCAPED_LENGTH_MAX = 128;
/** With a path or two in it. */
const SENTENCE_LENGTH_MAX = 2_000;

const CUT = '…';
/**
 * Everything of Unicode's category "Other": control, format (the bidirectional marks are here), surrogate, private and unassigned
 * characters; then line and paragraph separators, and what renderers leave out (variation selectors, fillers, tags).
 */
const UNPRINTABLE = /^[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\\]$/u;
const UNPRINTABLE_BUT_BACKSLASH = /^[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]$/u;
const SHORT: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The result has at most `lengthMax` UTF-16 units, and ends in `…` where it was cut. */
export function escapeText(text: string, lengthMax: number = ESCAPED_LENGTH_MAX): string {
  return escapeWhere(UNPRINTABLE, text, lengthMax);
}

/**
 * For a sentence of ours, in which what came from elsewhere has been escaped by whoever wrote it: backslashes stay as they are, so
 * that nothing is escaped twice, and what no terminal should see is escaped none the less.
 */
export function escapeSentence(text: string, lengthMax: number = SENTENCE_LENGTH_MAX): string {
  return escapeWhere(UNPRINTABLE_BUT_BACKSLASH, text, lengthMax);
}

function escapeWhere(pattern: RegExp, text: string, lengthMax: number): string {
  let escaped = '';
  /** How long the result was when it last left room for the mark that says it was cut. */
  let room = 0;
  // By code point: half of a pair is escaped, and no pair is cut in two.
  for (const character of text) {
    const shown = pattern.test(character) ? escapeCharacter(character) : character;
    if (escaped.length + shown.length > lengthMax) return escaped.slice(0, room) + CUT;
    escaped += shown;
    if (escaped.length + CUT.length <= lengthMax) room = escaped.length;
  }
  return escaped;
}

/** For a sentence that shows what somebody typed. */
export function quoteText(text: string, lengthMax: number = ESCAPED_LENGTH_MAX): string {
  return `"${escapeText(text, lengthMax)}"`;
}

function escapeCharacter(character: string): string {
  return SHORT[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
