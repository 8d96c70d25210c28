// Installs what the lock file names and compiles what the sources changed; each is skipped when its stamp still matches.
// Plain JavaScript without dependencies: it is what runs first on a fresh clone.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const stamps = join(root, '.stamps');

export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
}

const programs = { tsc: 'typescript/bin/tsc', biome: '@biomejs/biome/bin/biome', vitest: 'vitest/vitest.mjs' };
export const bin = (name) => join(root, 'node_modules', programs[name]);

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
  if (existsSync(join(root, present)) && existsSync(file) && readFileSync(file, 'utf8') === stamp) return;
  work();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(file, stamp);
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

export function build() {
  const folders = [
    'base',
    'wire',
    'crypto',
    'transport',
    'nat',
    'trust',
    'daemon',
    'report',
    'sim',
    'fuzz',
    'bench',
  ].filter((folder) => existsSync(join(root, folder)) && statSync(join(root, folder)).isDirectory());
  const sources = [
    ...folders.flatMap(filesBelow),
    join(root, 'tsconfig.json'),
    join(root, 'tsconfig.build.json'),
    join(root, 'package-lock.json'),
  ];
  unlessStamped('build', stampOf(sources.flatMap((file) => [file, readFileSync(file)])), 'dist', () => {
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    run(process.execPath, [bin('tsc'), '-p', 'tsconfig.build.json']);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  install();
  build();
}
