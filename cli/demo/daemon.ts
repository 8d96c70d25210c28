import { rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { loadConfig } from '../../daemon/config.ts';
import { runDaemon } from '../../daemon/run-daemon.ts';
import { version } from '../../daemon/version.ts';

/**
 * A daemon of the demonstration, as a process of its own: what `warren up` runs, but with nothing from the environment, and not
 * for longer than whoever started it. Where that one is gone before it could clear up, whoever is the last here does.
 */
const flags = JSON.parse(process.argv[2]!) as Record<string, string>;
const config = loadConfig({ flags, env: {}, home: homedir(), workingDirectory: process.cwd() });
const leave = (): void => void process.kill(process.pid, 'SIGTERM');
process.on('disconnect', leave);
const removeStage = (): void => {
  if (!process.connected) rmSync(dirname(config.state), { recursive: true, force: true });
};
process.on('exit', removeStage);
try {
  process.exitCode = await runDaemon(config, {
    version: version(),
    onStarted: (started) => tell({ started }),
  });
} catch (error) {
  const { message } = error as Error;
  tell({ failed: message });
  process.exitCode = 1;
}
// Until now it kept the process, and would go on doing so.
if (process.connected) {
  process.off('exit', removeStage).off('disconnect', leave);
  process.disconnect();
}

/** Whoever started us may have gone before we could hear that. */
function tell(news: object): void {
  process.send?.(news, undefined, undefined, (error) => error === null || leave());
}
