import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { Sandbox, until } from './support.ts';

const PREPARE = fileURLToPath(new URL('../../scripts/prepare.mjs', import.meta.url));
const sandbox = new Sandbox();
const children: ChildProcess[] = [];

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await sandbox.clear();
});

/** In the place of npm: says that it was called, waits to be let go, and leaves a compiler that compiles nothing. */
const NPM = `
  import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
  appendFileSync('calls', 'npm ');
  while (!existsSync('go')) {
    // The test is over, and did not come to this.
    if (!existsSync('npm.mjs')) process.exit(1);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
  mkdirSync('node_modules/typescript/bin', { recursive: true });
  const tsc = "require('fs').appendFileSync('calls', 'tsc '); require('fs').mkdirSync('dist')";
  writeFileSync('node_modules/typescript/bin/tsc', tsc);
`;

/** A project of which nothing is installed or built. */
function freshProject(name: string): string {
  const folder = sandbox.path(name);
  mkdirSync(join(folder, 'scripts'), { recursive: true });
  copyFileSync(PREPARE, join(folder, 'scripts', 'prepare.mjs'));
  const files = { 'package-lock.json': '{}', 'package.json': '{"bin":{}}', 'tsconfig.json': '{}' };
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  writeFileSync(join(folder, 'tsconfig.build.json'), '{"exclude":["scripts"]}');
  writeFileSync(join(folder, 'npm.mjs'), NPM);
  writeFileSync(join(folder, 'npm.js'), "import('./npm.mjs')");
  return folder;
}

function prepare(folder: string): { child: ChildProcess; said: () => string } {
  const env = { ...sandbox.env, npm_execpath: join(folder, 'npm.js') };
  const child = spawn(process.execPath, ['scripts/prepare.mjs'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  return { child, said: () => said };
}

it('two that install and build in one folder at once do so one after the other, and once', async () => {
  const folder = freshProject('two');
  const first = prepare(folder);
  await until('npm runs', () => existsSync(join(folder, 'calls')));
  const second = prepare(folder);
  await until('the second waits', () => second.said().includes('Waiting for another process'));
  const ends = [first, second].map(({ child }) => once(child, 'exit'));
  writeFileSync(join(folder, 'go'), '');
  expect(await Promise.all(ends)).toEqual([
    [0, null],
    [0, null],
  ]);
  expect(readFileSync(join(folder, 'calls'), 'utf8')).toBe('npm tsc ');
});

it('what one that was killed has left behind does not hold up the next', async () => {
  const folder = freshProject('killed');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  mkdirSync(join(folder, '.stamps'));
  writeFileSync(join(folder, '.stamps', 'lock'), String(pid));
  writeFileSync(join(folder, 'go'), '');
  const { child } = prepare(folder);
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(existsSync(join(folder, '.stamps', 'lock'))).toBe(false);
});
