import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../base/bytes.ts';
import { Secret } from '../../../crypto/secret.ts';

const BYTES = Uint8Array.from({ length: 32 }, (_, i) => 0x41 + i);
/** The first of them in every form that a printer gives bytes. */
const FORMS = ['65, 66, 67', '65,66,67', '414243', '41 42 43', 'ABC', '"0":65', Buffer.from(BYTES).toString('base64')];

function secret(): Secret {
  return new Secret(BYTES.slice());
}

describe('a secret', () => {
  it.each<[string, (value: Secret) => string]>([
    ['as a string', (value) => String(value)],
    ['in a template', (value) => `${value}`],
    ['as JSON', (value) => JSON.stringify(value)],
    ['as JSON inside of something else', (value) => JSON.stringify({ keys: [value] })],
    ['inspected', (value) => inspect(value, { depth: null, showHidden: true, maxArrayLength: null })],
    ['inspected inside of something else', (value) => inspect({ keys: [value] }, { depth: null, showHidden: true })],
    ['in the message of an error', (value) => new Error(`bad key ${value}`).message],
    ['as the cause of an error', (value) => inspect(new Error('bad key', { cause: value }), { showHidden: true })],
    ['cloned', (value) => JSON.stringify(structuredClone(value))],
    ['by its own properties', (value) => JSON.stringify(Object.entries(value)) + Reflect.ownKeys(value).map(String)],
  ])('does not show its bytes %s', (_, print) => {
    const printed = print(secret());
    for (const form of FORMS) expect(printed).not.toContain(form);
  });

  it('gives its bytes to the one who asks for them', () => {
    expect(toHex(secret().expose())).toBe(toHex(BYTES));
  });

  it('is overwritten where it lies when it is wiped', () => {
    const bytes = BYTES.slice();
    const subject = new Secret(bytes);
    subject.wipe();
    expect([...bytes].every((byte) => byte === 0)).toBe(true);
    expect(subject.expose()).toEqual(new Uint8Array(32));
  });
});
