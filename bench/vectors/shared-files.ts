import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The vectors that are too large to copy lie beside the project, in `../shared/vectors`. Where they are not, their sets are
 * skipped and say so, unless the environment says `VECTORS=required`.
 */
const { VECTORS } = process.env;
export const VECTORS_REQUIRED: boolean = VECTORS === 'required';

/** Parsed, or `undefined` where the file is not there. What it holds is trusted to have the shape that its readers expect. */
export function readShared(name: string): unknown {
  const file = join(projectRoot(), '..', 'shared', 'vectors', name);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** Sources and compiled files lie at different depths below it. */
function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('no package.json above the vectors');
    folder = parent;
  }
  return folder;
}
