import { existsSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shellWord } from '../daemon/file-errors.ts';

/** The compiled program's own path. */
export const MAIN_PATH: string = fileURLToPath(new URL('./main.js', import.meta.url));

/** What to type for this program here: a clone has a file `warren` at its root; where npm installed it, it is in the path. */
export function programName(): string {
  const root = dirname(dirname(dirname(MAIN_PATH)));
  const script = `${root}/warren`;
  if (!existsSync(script)) return 'warren';
  const near = relative(process.cwd(), script);
  return shellWord(near.startsWith('..') ? script : `./${near}`);
}
