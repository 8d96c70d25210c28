import { shellWord } from '../daemon/file-errors.ts';
import { wordsOf } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { programName } from './program-name.ts';

/** What says which daemon is meant. The environment says it to the next command too. */
const PLACES = ['socket', 'state'] as const;

/**
 * Our own commands as they are to be typed here and now, so that what we print can be copied: by the program's path where it is not
 * found by its name, and with the `--socket` and `--state` that this command was given.
 */
export class TypedCommands {
  readonly #places: string;

  /** As parsed; what is not one text each is somebody else's to refuse. */
  constructor(options: Readonly<Record<string, unknown>>) {
    const given = PLACES.flatMap((name) => {
      const value = options[name];
      return typeof value === 'string' && value !== '' ? [` --${name} ${shellWord(value)}`] : [];
    });
    this.#places = given.join('');
  }

  line(words: string): string {
    return `${programName()}${this.#places} ${words}`;
  }

  /** A sentence in which they stand as `warren ping bob`, which is how everybody writes them who knows no command line. */
  inSentence(text: string): string {
    return text.replace(COMMAND, (_, help: string | undefined) =>
      help === undefined ? `${programName()}${this.#places} ` : `${programName()} `,
    );
  }
}

const FIRST_WORDS: string = [...new Set(COMMANDS.map((entry) => wordsOf(entry)[0]!))].join('|');
/** With a help behind it, which is the same for every daemon. A peer may be called warren, and does nothing that is a command. */
const COMMAND = new RegExp(`(?<![\\w./-])warren (?=((?:[a-z]+ ){0,2}--help)|(?:${FIRST_WORDS})(?![\\w-]))`, 'g');
