import type { Arguments } from './arguments.ts';
import type { Output } from './output.ts';

/** One option, in the words of yargs. */
export interface CommandOption {
  readonly type: 'string' | 'boolean';
  readonly array?: true;
  readonly describe: string;
  readonly defaultDescription?: string;
}

/** What a command takes, and what it does: the part that is loaded once it is clear that it is this one. */
export interface Command {
  /** What the words in capitals of its usage mean. */
  readonly positionals?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, CommandOption>>;
  readonly examples?: readonly (readonly [command: string, what: string])[];
  /** What else is to be known, below its help. */
  readonly notes?: string;
  /** Gives the exit code; throws what went wrong. */
  run(invocation: Invocation): Promise<number>;
}

export interface Invocation {
  readonly args: Arguments;
  readonly output: Output;
  readonly version: string;
}

/** What is known of a command before it is loaded. */
export interface CommandEntry {
  /** The words that call it and what it takes: `peer add <RECORD>`, `<…>` where it must be there, `[…]` where it may. */
  readonly usage: string;
  readonly summary: string;
  /** Its standard output is a stream's bytes, so what it says about itself goes to standard error. */
  readonly speaksOnStderr?: true;
  load(): Promise<Command>;
}

/** `peer add` of `peer add <RECORD>`. */
export function wordsOf({ usage }: CommandEntry): readonly string[] {
  return usage.split(' ').filter((word) => /^[a-z]/.test(word));
}

/** `RECORD` of `peer add <RECORD>`. */
export function positionalsOf({ usage }: CommandEntry): readonly string[] {
  return [...usage.matchAll(/[<[]([^>\].]+)/g)].map((match) => match[1]!);
}
