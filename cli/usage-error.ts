import { WarrenError } from '../base/errors.ts';

/** The command line itself is wrong: nothing was tried, and the exit code is 2. */
export class UsageError extends WarrenError {
  constructor(message: string, hint: string) {
    super('ERR_WARREN_USAGE', message, hint);
  }
}

/** Settings are a part of the command line, wherever they stand; service managers do not start again what ends with 2. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'ERR_WARREN_USAGE',
  'ERR_WARREN_CONFIG_KEY',
  'ERR_WARREN_CONFIG_VALUE',
  'ERR_WARREN_CONFIG_SYNTAX',
]);

export function exitCodeOf(error: unknown): number {
  return error instanceof WarrenError && USAGE_CODES.has(error.code) ? 2 : 1;
}
