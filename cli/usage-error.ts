import { WarrenError } from '../base/errors.ts';

/** The command line itself is wrong: nothing was tried, and the exit code is 2. */
export class UsageError extends WarrenError {
  constructor(message: string, hint: string) {
    super('ERR_WARREN_USAGE', message, hint);
  }
}
