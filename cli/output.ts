import { WarrenError } from '../base/errors.ts';
import { escapeText } from '../daemon/escape.ts';
import { type Style, styleFor } from './style.ts';

/**
 * What a command says. For programs one line of JSON, `{"ok":true,"data":…}` or `{"ok":false,"error":{…}}`; for people text, with
 * errors on standard error. Whatever came from a peer is escaped either way.
 */
export class Output {
  readonly isJson: boolean;
  readonly style: Style;
  readonly #stream: NodeJS.WriteStream;

  /** `speaksOnStderr`: standard output is somebody's bytes. */
  constructor(isJson: boolean, speaksOnStderr: boolean) {
    this.isJson = isJson;
    this.#stream = speaksOnStderr ? process.stderr : process.stdout;
    this.style = styleFor(this.#stream);
  }

  /** What the command was for. `text` is without its last line break. */
  result(data: object, text: () => string): void {
    this.#stream.write(this.isJson ? jsonLine({ ok: true, data }) : `${text()}\n`);
  }

  /** While it goes on; not for programs. */
  say(text: string): void {
    if (!this.isJson) this.#stream.write(`${text}\n`);
  }

  /** Beside the result, which may be piped elsewhere; not for programs. */
  note(text: string): void {
    if (!this.isJson) process.stderr.write(`${text}\n`);
  }

  failure(error: unknown): void {
    const { code, message, hint } = describe(error);
    if (this.isJson) {
      this.#stream.write(jsonLine({ ok: false, error: { code, message, hint } }));
      return;
    }
    const { red, dim } = styleFor(process.stderr);
    const said = escapeText(message, SENTENCE_LENGTH_MAX);
    process.stderr.write(`${red('warren:')} ${said} ${dim(`(${code})`)}\n`);
    if (hint !== '') process.stderr.write(`  ${escapeText(hint, SENTENCE_LENGTH_MAX)}\n`);
    if (!(error instanceof WarrenError) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  }
}

/** A sentence with a path or two in it. */
const SENTENCE_LENGTH_MAX = 2_000;

/** What is no `WarrenError` is a mistake of ours. */
function describe(error: unknown): { readonly code: string; readonly message: string; readonly hint: string } {
  if (error instanceof WarrenError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'ERR_WARREN_INTERNAL', message, hint: 'this is a fault of warren: please report it' };
}

/** Control characters and marks that turn the reading order are as unwelcome in JSON that somebody looks at. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, i) => unicodeEscape(character.charCodeAt(i))).join(''),
  );
  return `${text}\n`;
}

function unicodeEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
