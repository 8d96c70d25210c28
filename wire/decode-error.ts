/** Why a decoder refused its input. Closed, so that every drop can be counted by its reason. */
export type DecodeReason =
  | 'truncated'
  | 'trailing-bytes'
  | 'length-mismatch'
  | 'unknown-type'
  | 'unknown-version'
  | 'reserved-bits'
  | 'not-shortest-form'
  | 'out-of-range'
  | 'not-ascending'
  | 'bad-text'
  | 'too-long'
  | 'too-many'
  | 'too-deep'
  | 'forbidden-item'
  | 'duplicate-key';

export interface DecodeError {
  readonly kind: 'decode-error';
  readonly reason: DecodeReason;
}

export function decodeError(reason: DecodeReason): DecodeError {
  return { kind: 'decode-error', reason };
}

export function isDecodeError(value: object): value is DecodeError {
  return (value as { readonly kind?: unknown }).kind === 'decode-error';
}
