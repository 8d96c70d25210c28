import type { Writable } from 'node:stream';
import { WarrenError } from '../base/errors.ts';
import { escapeSentence } from '../daemon/escape.ts';
import { standardOutput } from './standard-output.ts';
import { type Style, styleFor } from './style.ts';
import type { TypedCommands } from './typed-commands.ts';

/**
 * What a command says. For programs one line of JSON, `{"ok":true,"data":…}` or `{"ok":false,"error":{…}}`; for people text, with
 * errors on standard error. Whatever came from a peer is escaped either way.
 */
export class Output {
  readonly isJson: boolean;
  readonly style: Style;
  /** For commands in what it says. */
  readonly commands: TypedCommands;
  readonly #stream: Writable;

  constructor({ isJson, speaksOnStderr, commands }: OutputOptions) {
    this.isJson = isJson;
    this.commands = commands;
    this.#stream = speaksOnStderr ? process.stderr : standardOutput();
    this.style = styleFor(speaksOnStderr ? process.stderr : process.stdout);
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
    const { code, message, hint: general } = describe(error);
    const hint = this.commands.inSentence(general);
    if (this.isJson) {
      this.#stream.write(jsonLine({ ok: false, error: { code, message, hint } }));
      return;
    }
    const { red, dim } = styleFor(process.stderr);
    process.stderr.write(`${red('warren:')} ${escapeSentence(message)} ${dim(`(${code})`)}\n`);
    if (hint !== '') process.stderr.write(`  ${escapeSentence(hint)}\n`);
    if (!(error instanceof WarrenError) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  }
}

export interface OutputOptions {
  readonly isJson: boolean;
  /** Standard output is somebody's bytes. */
  readonly speaksOnStderr: boolean;
  readonly commands: TypedCommands;
}

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
