import parser from 'yargs-parser';
import type { CommandOption } from './command.ts';
import { UsageError } from './usage-error.ts';

/** Words that are no options, and options by name: `true`, text, or a list of texts where one was given more than once. */
export interface ParsedWords {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * The parser of yargs without the rest of it: laying out a help that is seldom asked for would take half the time that a command
 * has to start in.
 *
 * What there is to know about options is which of them take no value; of one that is not known, the word behind it is its value.
 */
export function parseWords(words: readonly string[], options: Readonly<Record<string, CommandOption>>): ParsedWords {
  const named = (type: CommandOption['type']): string[] =>
    Object.entries(options).flatMap(([name, option]) => (option.type === type ? [name] : []));
  const { flags, rest } = takeFlags(words, named('boolean'));
  const { _: plain, ...given } = parser(rest, { string: [...named('string'), '_'], configuration: CONFIGURATION });
  return { words: plain as readonly string[], options: { ...given, ...flags } };
}

/**
 * Options without a value are taken out first, for yargs would give them one: `--json=foo` it reads as not set, and of
 * `--json true` it takes the word away, which may be a peer's name. Behind `--` all are words. Thrown: a value for one.
 */
function takeFlags(words: readonly string[], names: readonly string[]): TakenFlags {
  const end = words.includes('--') ? words.indexOf('--') : words.length;
  const flags: Record<string, true> = {};
  const rest = words.filter((word, i) => {
    const name = /^--([^=]+)/s.exec(word)?.[1];
    if (i >= end || name === undefined || !names.includes(name)) return true;
    if (word.includes('=')) throw new UsageError(`--${name} takes no value`, `say --${name}, or leave it out`);
    flags[name] = true;
    return false;
  });
  return { flags, rest };
}

interface TakenFlags {
  readonly flags: Readonly<Record<string, true>>;
  readonly rest: string[];
}

const CONFIGURATION = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': true,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'short-option-groups': false,
};
