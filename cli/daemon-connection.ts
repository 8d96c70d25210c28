import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { ControlClient } from '../ipc/client.ts';
import { socketToUse } from '../ipc/socket-path.ts';
import type { Arguments } from './arguments.ts';

/** One question, or a few, to the daemon that `--socket`, the environment or the configuration names. */
export async function withDaemon<T>(
  args: Arguments,
  which: 'app' | 'admin',
  ask: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const path = await socketOf(args, which);
  const client = await ControlClient.connect({ path, listener: SILENT });
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}

const SILENT = { event: (): void => {}, closed: (): void => {} };

/**
 * What says where a daemon's sockets are says it to its clients too, in the same order: command line, environment, the file in the
 * state directory. Most have no such file; then nothing has to be loaded to read it.
 */
export async function socketOf(args: Arguments, which: 'app' | 'admin'): Promise<string> {
  const { env } = process;
  const { WARREN_SOCKET, WARREN_STATE, XDG_RUNTIME_DIR } = env;
  const given = args.text('socket') ?? WARREN_SOCKET ?? '';
  if (given !== '') return socketToUse({ WARREN_SOCKET: expanded(given) }, which);
  const state = expanded(args.text('state') ?? (WARREN_STATE || '~/.warren'));
  if (!existsSync(join(state, 'config.json'))) return socketToUse({ XDG_RUNTIME_DIR }, which);
  const { loadConfig } = await import('../daemon/config.ts');
  const { socket } = loadConfig({ flags: { state }, env, home: homedir(), workingDirectory: process.cwd() });
  return socketToUse({ WARREN_SOCKET: socket }, which);
}

/** `~` as settings have it: a shell expands it in few of the places it can be written in. */
function expanded(path: string): string {
  if (path === '~') return homedir();
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(path);
}
