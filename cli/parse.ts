import parser from 'yargs-parser';
import type { CommandOption } from './command.ts';

/** Words that are no options, and options by name: `true`, text, or a list of those where one was given more than once. */
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
  const { _: rest, ...given } = parser([...words], {
    string: [...named('string'), '_'],
    boolean: named('boolean'),
    configuration: CONFIGURATION,
  });
  return { words: rest as readonly string[], options: given };
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
