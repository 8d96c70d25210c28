import { describe, expect, it } from 'vitest';
import { AssertionError, assert, assertNever } from '../../../base/assert.ts';
import { WarrenError } from '../../../base/errors.ts';

describe('an assertion', () => {
  it('says nothing while its condition holds', () => {
    expect(() => assert(true, 'never seen')).not.toThrow();
  });

  it('that fails throws its reason as an error of its own kind', () => {
    expect(() => assert(false, 'packet numbers only grow')).toThrow(AssertionError);
    expect(() => assert(false, 'packet numbers only grow')).toThrow('packet numbers only grow');
  });

  it('about a closed union names the case that nobody handled', () => {
    expect(() => assertNever({ kind: 'new' } as never)).toThrow('{"kind":"new"}');
  });
});

describe('an error of local use', () => {
  it('carries a code to test for and a hint what to do', () => {
    const error = new WarrenError('ERR_WARREN_UNKNOWN_PEER', 'no such peer: bob', 'add it with an invite');
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'WarrenError',
      code: 'ERR_WARREN_UNKNOWN_PEER',
      message: 'no such peer: bob',
      hint: 'add it with an invite',
    });
  });
});
