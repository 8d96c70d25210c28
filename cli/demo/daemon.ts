import { homedir } from 'node:os';
import { loadConfig } from '../../daemon/config.ts';
import { runDaemon } from '../../daemon/run-daemon.ts';
import { version } from '../version.ts';

/**
 * A daemon of the demonstration, as a process of its own: what `warren up` runs, but with nothing from the environment, and not
 * for longer than whoever started it.
 */
const flags = JSON.parse(process.argv[2]!) as Record<string, string>;
const config = loadConfig({ flags, env: {}, home: homedir(), workingDirectory: process.cwd() });
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
try {
  process.exitCode = await runDaemon(config, {
    version: version(),
    onStarted: (started) => void process.send?.({ started }),
  });
} catch (error) {
  const { message } = error as Error;
  process.send?.({ failed: message });
  process.exitCode = 1;
}
// Until now it kept the process, and would go on doing so.
if (process.connected) process.disconnect();
