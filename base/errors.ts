import type { ErrorCode } from './error-codes.ts';

/** A code as it stands in an error that another version of warren made, which may know more of them. */
export type AnyErrorCode = ErrorCode | (`ERR_WARREN_${string}` & {});

/** Misuse or bad input by a local program or user: a stable code to test for, and a hint that says what to do. */
export class WarrenError extends Error {
  override readonly name = 'WarrenError';
  /** One of `ERROR_CODES`, or a newer daemon's. */
  readonly code: AnyErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }

  /** An error as another process told it: its code is kept, known here or not. @internal */
  static told({ code, message, hint }: ToldError): WarrenError {
    return new WarrenError(code as ErrorCode, message, hint);
  }
}

export interface ToldError {
  readonly code: AnyErrorCode;
  readonly message: string;
  readonly hint: string;
}

/** The one for whatever a program has called off; `what` that was. */
export function cancelled(
  what = 'this was cancelled',
  hint = 'nothing to be done: the program asked for it',
): WarrenError {
  return new WarrenError('ERR_WARREN_CANCELLED', what, hint);
}
