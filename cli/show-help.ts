import { GROUPS } from './common.ts';
import { findCommand, noSuchCommand } from './find-command.ts';
import type { Output } from './output.ts';

/** What `warren help WORDS` and `warren WORDS --help` show: of one command, of a group, or of all. Thrown: words that are neither. */
export async function showHelp(words: readonly string[], output: Output): Promise<void> {
  const entry = findCommand(words);
  const [first, second] = words;
  const isGroup = first !== undefined && second === undefined && Object.hasOwn(GROUPS, first);
  if (entry === undefined && first !== undefined && !isGroup) throw noSuchCommand(words);
  if (output.isJson) {
    const { manual } = await import('./manual.ts');
    output.result(await manual(entry), () => '');
  } else {
    const { helpFor } = await import('./help.ts');
    output.say(await helpFor(words));
  }
}
