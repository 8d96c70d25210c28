import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageFolder } from './folders.ts';
import { leaveNothing } from './rig/leftovers.ts';
import { Unavailable } from './rig/unavailable.ts';

/** What others have built, fetched when it is to be measured and never a part of the project. */
export interface Rival {
  readonly name: string;
  /** For `require` to look from. */
  readonly from: string;
}

/** Exact, as what is measured has to be. */
const VERSIONS = { 'udx-native': '1.21.3', hyperdht: '6.34.0' } as const;
export type RivalName = keyof typeof VERSIONS;

/** Ignored by git. */
const FOLDER = 'bench/rivals';
const INSTALL_MS_MAX = 60_000;

export function rivalTitle(name: RivalName): string {
  return `${name} ${VERSIONS[name]}`;
}

/** Rejects with `Unavailable` where it cannot be had. */
export async function installRival(name: RivalName): Promise<Rival> {
  const title = `${name}@${VERSIONS[name]}`;
  const folder = join(packageFolder(), FOLDER, title);
  const rival: Rival = { name, from: join(folder, 'package.json') };
  if (existsSync(join(folder, 'node_modules', name))) return rival;
  await mkdir(folder, { recursive: true });
  await writeFile(rival.from, '{ "private": true }\n');
  const whatIsWrong = await npmInstall(folder, title);
  if (whatIsWrong === '' && existsSync(join(folder, 'node_modules', name))) {
    removeTypes(folder);
    return rival;
  }
  rmSync(folder, { recursive: true, force: true });
  throw new Unavailable(`${title} cannot be installed: ${whatIsWrong}`);
}

/** None of their scripts is run. Gives what went wrong. */
async function npmInstall(folder: string, title: string): Promise<string> {
  const words = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', '--prefix', folder, title];
  const { npm_execpath: npm } = process.env;
  const [program, ...args] = npm?.endsWith('.js') ? [process.execPath, npm, ...words] : ['npm', ...words];
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const leftover = leaveNothing(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'));
  const timer = setTimeout(() => child.kill('SIGKILL'), INSTALL_MS_MAX);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code === 0) return '';
    return /npm (?:error|ERR!) code (\S+)/.exec(said)?.[1] ?? `npm ended with ${code}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
    leftover.forget();
  }
}

/** Declarations below this project's folders would be taken for sources of its own. */
function removeTypes(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && /\.[cm]?ts$/.test(entry.name)) rmSync(join(entry.parentPath, entry.name));
  }
}
