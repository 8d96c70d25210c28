import { WarrenError } from '../base/errors.ts';

/** How a command ends, as scripts see it. README.md has the same table. */
export const EXIT_CODES: Readonly<Record<string, string>> = {
  '0': 'done, or whoever read standard output has left, as head does',
  '1': 'failed, or standard output could not be written, as on a full disk',
  '2': 'the command line or a setting is wrong: nothing was tried',
  '129, 130, 143':
    'ended by SIGHUP, SIGINT (Ctrl-C) or SIGTERM; a daemon, and ping with figures, end in order with 0 at the first',
};

/** Settings are a part of the command line, wherever they stand; service managers do not start again what ends with 2. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'ERR_WARREN_USAGE',
  'ERR_WARREN_CONFIG_KEY',
  'ERR_WARREN_CONFIG_VALUE',
  'ERR_WARREN_CONFIG_SYNTAX',
  'ERR_WARREN_ENDPOINT',
]);

export function exitCodeOf(error: unknown): number {
  return error instanceof WarrenError && USAGE_CODES.has(error.code) ? 2 : 1;
}
