import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const page = readFileSync(new URL('../BEHAVIOURS.md', import.meta.url), 'utf8');
const rows = [...page.matchAll(/^\| (.*)\| `([^`]+)` \| (.+) \|$/gm)].map(([, behaviour, file, title]) => ({
  behaviour: behaviour!.trim(),
  path: fileURLToPath(new URL(`../../${file}`, import.meta.url)),
  title: title!,
}));

describe('test/BEHAVIOURS.md', () => {
  it('names tests that are there', () => {
    expect(rows.length).toBeGreaterThan(40);
    const wrong = rows.filter(({ path, title }) => {
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      // As the first argument of `it` and its like, in whichever quotes.
      return !["'", '`', '"'].some(
        (quote) => text.includes(`(${quote}${title}${quote},`) || text.includes(`    ${quote}${title}${quote},`),
      );
    });
    expect(wrong).toEqual([]);
  });

  it('has a test in every row, and a behaviour in the first of each table', () => {
    const lines = page.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| behaviour '));
    expect(lines).toHaveLength(rows.length);
    for (const table of page.split('\n## ').slice(1)) {
      const [first] = table
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .slice(2);
      expect(first).toMatch(/^\| [a-z]/);
    }
  });
});
