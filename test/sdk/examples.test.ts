import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as sdk from '../../sdk/index.ts';
import { Daemon, embeddedPair, type Pair } from './support.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, 'sdk');
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'));
const texts = new Map(files.map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')]));

interface Example {
  readonly name: string;
  readonly code: string;
  /** What its `console.log` lines say that they print. */
  readonly prints: readonly string[];
}

/** Every doc comment with an example, and the name of what it stands before. */
function examplesIn(text: string): Example[] {
  const found: Example[] = [];
  for (const [, comment, after] of text.matchAll(/\/\*\*((?:[^*]|\*(?!\/))*)\*\/\n([^\n]*)/g)) {
    const at = comment!.indexOf('@example');
    if (at === -1) continue;
    const name = /^export (?:abstract )?(?:async )?(?:class|function|interface|type|const|\{) (\w+)/.exec(after!)?.[1];
    const lines = comment!
      .slice(at)
      .split('\n')
      .slice(1)
      .map((line) => line.replace(/^\s*\* ?/, ''));
    const prints = lines.flatMap((line) => /console\.log\(.*\/\/ (.*)$/.exec(line)?.[1] ?? []);
    found.push({ name: name ?? after!.trim(), code: lines.join('\n'), prints });
  }
  return found;
}

const examples = [...texts.values()].flatMap(examplesIn);

/** Every name that `index.ts` exports. */
const exported = [...texts.get('index.ts')!.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, names]) =>
  names!
    .split(',')
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== ''),
);

/** Loads what a static import would: code that is made from text has no imports of its own. */
const imports = (code: string): string =>
  code
    .replace(/^import (\w+) from '([^']+)';$/gm, "const { default: $1 } = await load('$2');")
    .replace(/^import (\{[^}]*\}) from '([^']+)';$/gm, "const $1 = await load('$2');");

/** What the compiler says of programs that know the SDK, and two nodes of it, by name. */
function typeErrors(programs: readonly string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'warren-examples-'));
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
  try {
    const known = Object.keys(sdk).map((name) => `const ${name}: typeof sdk.${name};`);
    known.push('const alice: sdk.WarrenNode;', 'const bob: sdk.WarrenNode;');
    write('known.d.ts', `import * as sdk from 'warren';\ndeclare global {\n${known.join('\n')}\n}\n`);
    const files = programs.map((_, i) => `example-${i}.mts`);
    for (const [i, name] of files.entries()) write(name, programs[i]!);
    const modules = join(ROOT, 'node_modules');
    const compilerOptions = {
      noEmit: true,
      rootDir: '/',
      // These are a matter of style, and that is a program's own.
      noUnusedLocals: false,
      noUnusedParameters: false,
      noPropertyAccessFromIndexSignature: false,
      paths: { warren: [join(FOLDER, 'index.ts')], '*': [`${modules}/@types/*`, `${modules}/*`] },
      typeRoots: [join(modules, '@types')],
    };
    const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, files: ['known.d.ts', ...files] };
    write('tsconfig.json', JSON.stringify({ ...config, include: [] }));
    const tsc = join(modules, 'typescript/bin/tsc');
    const { stdout, stderr } = spawnSync(process.execPath, [tsc, '-p', directory], { encoding: 'utf8' });
    return stdout + stderr;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('the examples of the SDK', () => {
  let pair: Pair;
  let carol: Daemon;

  beforeEach(async () => {
    pair = await embeddedPair();
    carol = await Daemon.start('carol');
    vi.stubEnv('WARREN_SOCKET', carol.socket);
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await pair.close();
    await carol.stop();
  });

  it('are there for every name that it exports', () => {
    expect(exported.length).toBeGreaterThan(20);
    const shown = new Set(examples.map(({ name }) => name));
    expect(exported.filter((name) => !shown.has(name))).toEqual([]);
    for (const name of Object.keys(sdk)) expect(exported).toContain(name);
  });

  it('have the types that they rely on, and so has the one of the README', { timeout: 60_000 }, () => {
    const readme = /^```ts\n(.*?)^```$/ms.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1];
    expect(readme).toContain('await connect()');
    expect(typeErrors([...examples.map(({ code }) => code), readme!])).toBe('');
  });

  it.each(examples)('do what they say: $name', { timeout: 20_000 }, async ({ code, prints }) => {
    const printed: string[] = [];
    const log = (...values: unknown[]): void => {
      printed.push(values.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' '));
    };
    const values: Record<string, unknown> = {
      ...sdk,
      ...pair,
      console: { log },
      load: (name: string) => import(name),
    };
    // What a program that runs to its end has printed: the last words may come a little later than the last line.
    const AsyncFunction = (async () => {}).constructor as new (
      ...source: string[]
    ) => (...args: unknown[]) => Promise<void>;
    await new AsyncFunction(...Object.keys(values), imports(code))(...Object.values(values));
    await expect.poll(() => printed.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(prints.length);
    expect(printed).toEqual(prints);
  });
});
