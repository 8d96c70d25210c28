import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeyFile, readKeyFile, replaceKeyFile } from '../../daemon/key-file.ts';
import { CONTENT, makePlace, OTHER, removePlace } from './key-file-support.ts';

let base: string;
let path: string;

beforeEach(() => {
  ({ base, path } = makePlace());
});

afterEach(() => removePlace(base));

/** Programs of their own, from the compiled sources. */
const compiled = new URL('../../dist/', import.meta.url);
const isCompiled = nodeFs.existsSync(new URL('daemon/key-file.js', compiled));

describe.runIf(isCompiled)('several processes (needs `npm run build`)', () => {
  const children: ChildProcess[] = [];

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  function start(program: string): ChildProcess {
    const imports = `
      import { randomFillSync } from 'node:crypto';
      import { opensslBackend as backend } from '${new URL('crypto/openssl.js', compiled)}';
      import { loadOrCreateIdentity, replaceKeyFile } from '${new URL('daemon/key-file.js', compiled)}';
      const path = process.argv[1];
      const rng = { fill: (bytes) => void randomFillSync(bytes) };
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', imports + program, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    return child;
  }

  it('that start at once get one and the same identity', async () => {
    const racers = [1, 2, 3, 4].map(() =>
      start(`
        console.log('ready');
        process.stdin.once('data', () => {
          const { identity, created } = loadOrCreateIdentity(path, { backend, rng, network: 0 });
          console.log(JSON.stringify({ created, node: identity.address.node }));
          process.exit();
        });
      `),
    );
    const lines = racers.map((child) => createInterface(child.stdout!)[Symbol.asyncIterator]());
    for (const from of lines) expect((await from.next()).value).toBe('ready');
    for (const child of racers) child.stdin!.write('go\n');
    const results = [];
    for (const from of lines) results.push(JSON.parse((await from.next()).value as string));
    expect(results.filter(({ created }) => created).length).toBe(1);
    expect(new Set(results.map(({ node }) => node)).size).toBe(1);
    expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
  });

  it('that are killed while they replace a key file leave the old one or the new one', async () => {
    createKeyFile(path, CONTENT);
    for (let kill = 1; kill <= 10; kill++) {
      const child = start(`
        for (let i = 0; ; i++) {
          replaceKeyFile(path, new TextEncoder().encode('x'.repeat(1 + i % 5000) + '.'));
          if (i % 7 === 0) process.stdout.write('.');
        }
      `);
      let seen = 0;
      for await (const chunk of child.stdout!) {
        seen += (chunk as Buffer).length;
        if (seen >= kill) break;
      }
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(Buffer.from(readKeyFile(path)).toString()).toMatch(/^x+\.$/);
    }
    for (const name of nodeFs.readdirSync(base)) nodeFs.utimesSync(join(base, name), 1000, 1000);
    replaceKeyFile(path, OTHER);
    expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
  });
});
