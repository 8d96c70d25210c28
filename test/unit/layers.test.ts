import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** From the bottom up: a folder imports from itself and from those before it. */
const LAYERS = [
  'base',
  'wire',
  'crypto',
  'transport',
  'nat',
  'trust',
  'ipc',
  'services',
  'daemon',
  'sdk',
  'cli',
  'report',
  'sim',
  'fuzz',
  'bench',
];
/** Above the pure layers, who needs whom is said one by one. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  ipc: [],
  services: ['ipc'],
  daemon: ['ipc', 'services'],
  sdk: ['ipc', 'daemon'],
  cli: ['ipc', 'services', 'daemon', 'sdk'],
  report: [],
  sim: ['report'],
  fuzz: ['sim', 'ipc', 'report'],
  bench: ['sim', 'ipc', 'daemon', 'sdk', 'report'],
};
const PURE = ['base', 'wire', 'crypto', 'transport', 'nat', 'trust'];
/** The one pure folder's file that may name Node: it is left out of tsconfig.pure.json and handed in by the edge. */
const NATIVE = new Set(['crypto/openssl.ts']);

function sourcesOf(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'([^']+)'/g)].map((match) => match[1]!);
}

describe('the folders', () => {
  it('import only from the ones below them', () => {
    const wrong: string[] = [];
    for (const folder of LAYERS) {
      const below = PURE.includes(folder) ? PURE.slice(0, PURE.indexOf(folder)) : [...PURE, ...(ALSO[folder] ?? [])];
      for (const file of sourcesOf(folder)) {
        for (const target of importsOf(file).filter((name) => name.startsWith('.'))) {
          const to = relative(ROOT, join(ROOT, dirname(file), target)).split('/')[0]!;
          if (to !== folder && !below.includes(to)) wrong.push(`${file} imports ${target}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it('that are pure know no Node, no clock and no chance of their own', () => {
    const wrong: string[] = [];
    for (const file of PURE.flatMap(sourcesOf)) {
      if (NATIVE.has(file)) continue;
      for (const name of importsOf(file)) if (name.startsWith('node:')) wrong.push(`${file} imports ${name}`);
    }
    for (const file of [...PURE, 'sim'].flatMap(sourcesOf)) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      if (/\bMath\.random\b|\bnew Date\b|\bDate\.now\b/.test(text)) wrong.push(`${file} draws or reads a clock`);
    }
    expect(wrong).toEqual([]);
  });
});
