// Installs what the lock file names and compiles what the sources changed; each is skipped when its stamp still matches.
// Plain JavaScript without dependencies: it is what runs first on a fresh clone.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const stamps = join(root, '.stamps');

export function run(command, args, { onFailure = () => {}, ...options } = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error || result.status !== 0) onFailure();
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
}

const programs = { tsc: 'typescript/bin/tsc', biome: '@biomejs/biome/bin/biome', vitest: 'vitest/vitest.mjs' };
export const bin = (name) => join(root, 'node_modules', programs[name]);

/** `exclude` of tsconfig.build.json. */
const notBuilt = new Set(JSON.parse(readFileSync(join(root, 'tsconfig.build.json'), 'utf8')).exclude);

function filesBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function stampOf(parts) {
  const hash = createHash('sha256').update(process.version);
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

function unlessStamped(name, stamp, present, work) {
  const file = join(stamps, name);
  const isDone = () => existsSync(join(root, present)) && existsSync(file) && readFileSync(file, 'utf8') === stamp;
  if (isDone()) return;
  mkdirSync(stamps, { recursive: true });
  alone(() => {
    if (isDone()) return;
    work();
    writeFileSync(file, stamp);
  });
}

/** Two terminals may begin at once, and two installations in one folder break each other: the second waits, and finds it done. */
function alone(work) {
  const lock = join(stamps, 'lock');
  for (let isTold = false; !takeLock(lock); isTold = true) {
    if (!isTold)
      console.error(`Waiting for another process that installs or builds here (if there is none, remove ${lock})`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS);
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

const LOCK_POLL_MS = 100;

/** False where a process that is still there has it. */
function takeLock(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const holder = contentOf(lock);
  // Whoever ended without a word has left it. It is empty for the moment in which somebody takes it.
  if (holder !== '' && !isAlive(Number(holder))) rmSync(lock, { force: true });
  return false;
}

function contentOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

export function install() {
  unlessStamped('install', stampOf([readFileSync(join(root, 'package-lock.json'))]), 'node_modules', () => {
    // NODE_ENV=production would drop the compiler, hence --include=dev; no dependency's script is ever run.
    const npm = process.env.npm_execpath;
    const args = ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'];
    if (npm?.endsWith('.js')) run(process.execPath, [npm, ...args]);
    else run('npm', args, { shell: process.platform === 'win32' });
  });
}

/** What package.json names as commands: the compiler makes no file executable. */
function programsOfPackage() {
  return Object.values(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin);
}

export function build() {
  // What tsconfig.build.json includes: every folder with sources in it but those it excludes.
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !notBuilt.has(entry.name))
    .map((entry) => entry.name)
    .sort();
  const sources = [
    ...folders.flatMap(filesBelow),
    join(root, 'tsconfig.json'),
    join(root, 'tsconfig.build.json'),
    join(root, 'package-lock.json'),
  ];
  unlessStamped('build', stampOf(sources.flatMap((file) => [file, readFileSync(file)])), 'dist', () => {
    const dist = join(root, 'dist');
    rmSync(dist, { recursive: true, force: true });
    run(process.execPath, [bin('tsc'), '-p', 'tsconfig.build.json'], {
      onFailure: () => {
        rmSync(dist, { recursive: true, force: true });
        console.error('The build failed; there is no dist/ now.');
      },
    });
    for (const program of programsOfPackage()) chmodSync(join(root, program), 0o755);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  install();
  build();
}
