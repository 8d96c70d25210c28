import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { CommandOption } from './command.ts';

/** Words that are no options, and options by name: `true`, text, or a list of those where one was given more than once. */
export interface ParsedWords {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** What there is to know about options is which of them take no value; of one that is not known, the word behind it is its value. */
export async function parseWords(
  words: readonly string[],
  options: Readonly<Record<string, CommandOption>>,
): Promise<ParsedWords> {
  const parser = await loadParser();
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

type Parser = (words: string[], options: object) => { readonly _: readonly (string | number)[] };

/**
 * The parser of yargs, found where yargs finds it. yargs as a whole takes half the time that a command has to start in, most of
 * that for laying out a help which is seldom asked for.
 */
async function loadParser(): Promise<Parser> {
  const path = createRequire(import.meta.resolve('yargs')).resolve('yargs-parser');
  const module = (await import(pathToFileURL(path).href)) as { readonly default: Parser };
  return module.default;
}
