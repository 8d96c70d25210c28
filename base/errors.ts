/** Misuse or bad input by a local program or user: a stable code to test for, and a hint that says what to do. */
export class WarrenError extends Error {
  override readonly name = 'WarrenError';
  readonly code: `ERR_WARREN_${string}`;
  readonly hint: string;

  constructor(code: `ERR_WARREN_${string}`, message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}
