import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../daemon/config.ts';
import { runDaemon } from '../daemon/run-daemon.ts';

/** A daemon of `hostile-client`: a process of its own, as `warren up` runs it, in a directory that goes with it. */

export interface TargetRequest {
  readonly kind: 'snapshot';
}

export type TargetReply =
  | { readonly kind: 'ready'; readonly socket: string }
  | { readonly kind: 'snapshot'; readonly residentMiB: number };

const directory = mkdtempSync(join(tmpdir(), 'warren-bench-'));
const flags = {
  name: process.argv[2],
  state: join(directory, 'state'),
  socket: join(directory, 'run'),
  listen: '127.0.0.1:0',
  'log-level': 'error',
};

function reply(message: TargetReply): void {
  process.send?.(message);
}

process.on('message', () => reply({ kind: 'snapshot', residentMiB: process.memoryUsage.rss() / 2 ** 20 }));
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
try {
  await runDaemon(loadConfig({ flags, env: {}, home: directory, workingDirectory: directory }), {
    version: 'bench',
    onStarted: ({ socket }) => reply({ kind: 'ready', socket }),
  });
} finally {
  rmSync(directory, { recursive: true, force: true });
}
