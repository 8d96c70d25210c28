import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, type ErrorCode } from '../../base/error-codes.ts';
import { WarrenError } from '../../base/errors.ts';
import { exitCodeOf } from '../../cli/exit-codes.ts';

/** The table of codes against the sources and against the pages that people read. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TABLE = 'base/error-codes.ts';
const FOLDERS = ['base', 'wire', 'crypto', 'transport', 'ipc', 'services', 'daemon', 'sdk', 'cli'];
const PAGES = ['README.md', 'ARCHITECTURE.md', 'PROTOCOL.md', 'SECURITY.md', 'CHANGELOG.md', 'ipc/PROTOCOL.md'];
const CODES = Object.keys(ERROR_CODES) as ErrorCode[];
const CODE = /\bERR_WARREN_[A-Z0-9]+(?:_[A-Z0-9]+)*\b/g;

const sources: readonly (readonly [file: string, text: string])[] = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && join(folder, name) !== TABLE)
    .map((name) => [join(folder, name), read(join(folder, name))] as const),
);

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Where an error gets its code: not in what is said about it, nor where one is told from another. */
function givenIn(text: string): readonly string[] {
  const code = text
    .replaceAll(/\/\*.*?\*\//gs, '')
    .replaceAll(/^\s*\/\/.*$/gm, '')
    .replaceAll(/(?:[!=]==\s*|\bcase )'ERR_WARREN_\w+'/g, '');
  return [...code.matchAll(/'(ERR_WARREN_\w+)'/g)].map((match) => match[1]!);
}

describe('every code', () => {
  it('of the table is given to an error somewhere', () => {
    const given = new Set(
      sources.filter(([file]) => file !== 'cli/exit-codes.ts').flatMap(([, text]) => givenIn(text)),
    );
    expect(CODES.filter((code) => !given.has(code))).toEqual([]);
  });

  it('that stands in a source or on a page is one of the table', () => {
    const all = [...sources, ...PAGES.map((page) => [page, read(page)] as const)];
    const unknown = all.flatMap(([file, text]) =>
      (text.match(CODE) ?? []).filter((code) => !Object.hasOwn(ERROR_CODES, code)).map((code) => `${file}: ${code}`),
    );
    expect(unknown).toEqual([]);
  });
});

describe('ERRORS.md', () => {
  const page = read('ERRORS.md');
  const rowsIn = (text: string): (string | undefined)[][] =>
    [...text.matchAll(/^\| `(\w+)` \| (.+) \|$/gm)].map((row) => row.slice(1));

  it('is the table', () => {
    expect(rowsIn(page)).toEqual(Object.entries(ERROR_CODES));
  });

  it('says at which of them a command ends with exit code 2', () => {
    const section = page.slice(page.indexOf('## The command line')).split('\n## ')[0]!;
    expect(section).toContain('exit code 2');
    const isUsage = (code: ErrorCode): boolean => exitCodeOf(new WarrenError(code, '', '')) === 2;
    expect(rowsIn(section).map(([code]) => code)).toEqual(CODES.filter(isUsage));
  });
});
