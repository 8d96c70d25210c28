import { UsageError } from './usage-error.ts';

/** What was given to one command: everything is text until the command that wants it has looked at it. */
export class Arguments {
  readonly command: string;
  readonly values: Readonly<Record<string, unknown>>;

  constructor(command: string, values: Readonly<Record<string, unknown>>) {
    this.command = command;
    this.values = values;
  }

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  /** `undefined` where it was not given. */
  text(name: string): string | undefined {
    const value = this.values[name];
    if (Array.isArray(value)) throw new UsageError(`${shown(name)} was given ${value.length} times`, 'give it once');
    if (value === '') throw new UsageError(`${shown(name)} needs a value`, this.help);
    return typeof value === 'string' ? value : undefined;
  }

  /** Of a positional that has to be there. */
  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new UsageError(`${this.command} needs ${name}`, this.help);
    return value;
  }

  texts(name: string): readonly string[] {
    const value = this.values[name] ?? [];
    const texts = (Array.isArray(value) ? value : [value]) as readonly string[];
    if (texts.includes('')) throw new UsageError(`${shown(name)} needs a value`, this.help);
    return texts;
  }

  get help(): string {
    return `warren ${this.command} --help`;
  }
}

/** Positionals are written in capitals. */
function shown(name: string): string {
  return name === name.toUpperCase() ? name : `--${name}`;
}
