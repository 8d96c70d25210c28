import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../base/bytes.ts';
import { isRecordError, verifyEndpointRecord, verifyIdentityRecord } from '../../../crypto/records.ts';
import { encodeEndpointRecord, encodeIdentityRecord } from '../../../wire/records.ts';
import { BACKENDS } from '../crypto/fixtures.ts';
import { ENDPOINT_RECORD, IDENTITY_RECORD } from '../crypto/golden.ts';

const page = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8');

/** The bytes of a block: `;` starts a comment, `(00 × 16)` is a byte that repeats. */
function example(name: string): string {
  const block = page.match(new RegExp(`^\`\`\`record ${name}\\n([\\s\\S]*?)^\`\`\`$`, 'm'));
  if (block === null) throw new Error(`the page has no example of an ${name} record`);
  return block[1]!
    .replace(/;.*$/gm, '')
    .replace(/\(([0-9a-f]{2}) × (\d+)\)/g, (_all, byte: string, times: string) => byte.repeat(Number(times)))
    .replace(/\s+/g, '');
}

describe.each(BACKENDS)('a record on the protocol page, with %s', (_, backend) => {
  it('of an identity is signed, derives its address and is written again', () => {
    const record = verifyIdentityRecord(backend, fromHex(example('identity')));
    if (isRecordError(record)) throw new Error(record.reason);
    expect(record).toMatchObject({
      sequence: 1_800_000_000_000,
      address: { network: 7, node: 0xd0bd_c520 },
      counter: 0,
    });
    expect(record).toMatchObject({ name: 'alice', tags: ['gpu', 'lab-2'], capabilities: ['http/1.1', 'warren:echo'] });
    expect(record.homes).toMatchObject([{ host: 'Rendezvous.example', port: 4440 }]);
    expect(toHex(encodeIdentityRecord(record))).toBe(IDENTITY_RECORD);
  });

  it('of endpoints is signed and written again', () => {
    const record = verifyEndpointRecord(backend, fromHex(example('endpoint')));
    if (isRecordError(record)) throw new Error(record.reason);
    expect(record).toMatchObject({ sequence: 1_800_000_000_001, expires: 1_800_000_600_000, public: true });
    expect(record.endpoints.map(({ kind }) => kind)).toEqual(['direct', 'direct', 'relayed']);
    expect(toHex(encodeEndpointRecord(record))).toBe(ENDPOINT_RECORD);
  });
});
