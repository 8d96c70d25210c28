import { quoteText } from '../daemon/escape.ts';
import { nearest } from '../daemon/nearest.ts';
import { type CommandEntry, wordsOf } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { GROUPS } from './common.ts';
import { UsageError } from './usage-error.ts';

/** The command that the words begin with. */
export function findCommand(words: readonly string[]): CommandEntry | undefined {
  return COMMANDS.find((one) => wordsOf(one).every((word, i) => word === words[i]));
}

/** For words that call none. */
export function noSuchCommand([first, second]: readonly string[]): UsageError {
  if (first === undefined) return new UsageError('no command was given', 'warren --help lists them');
  if (Object.hasOwn(GROUPS, first)) return noSuchAction(first, second);
  const meant = nearest(first, [...COMMANDS.map((entry) => wordsOf(entry)[0]!), ...Object.keys(GROUPS)]);
  return new UsageError(
    `there is no command ${quoteText(first)}`,
    meant === undefined ? 'warren --help lists the commands' : `did you mean ${meant}?`,
  );
}

function noSuchAction(group: string, action: string | undefined): UsageError {
  const actions = COMMANDS.map(wordsOf).flatMap(([first, second]) => (first === group ? [second!] : []));
  const list = actions.map((word) => `warren ${group} ${word}`).join(', ');
  if (action === undefined) return new UsageError(`${group} does nothing by itself`, `say one of: ${list}`);
  const meant = nearest(action, actions);
  const hint = meant === undefined ? `say one of: ${list}` : `did you mean ${group} ${meant}?`;
  return new UsageError(`there is no command ${quoteText(`${group} ${action}`)}`, hint);
}
