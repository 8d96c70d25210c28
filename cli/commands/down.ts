import { setTimeout as sleep } from 'node:timers/promises';
import { WarrenError } from '../../base/errors.ts';
import { isAlive } from '../../daemon/process-mark.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { parseTime } from '../values.ts';

const STEP_MS = 20;

export const down: Command = {
  options: {
    timeout: { type: 'string', describe: 'TIME: how long its end may take', defaultDescription: '30s' },
  },
  notes:
    'Returns when the process has gone: what was written has arrived, or could not within 5 s; another can be started at once.',
  async run({ args, output }) {
    const timeoutMs = parseTime('timeout', args.text('timeout') ?? '30s');
    const until = performance.now() + timeoutMs;
    const data = await withDaemon(args, 'admin', async (client) => {
      const { pid, address, name } = await client.request('status', {});
      await client.request('shutdown', {});
      return { pid, address, name };
    });
    while (isAlive({ pid: data.pid, started: '', boot: '' })) {
      if (performance.now() >= until) throw stillThere(data.pid, timeoutMs);
      await sleep(STEP_MS);
    }
    output.result(data, () => `the daemon has ended (pid ${data.pid})`);
    return 0;
  },
};

function stillThere(pid: number, milliseconds: number): WarrenError {
  return new WarrenError(
    'ERR_WARREN_TIMEOUT',
    `the daemon (pid ${pid}) is still there after ${milliseconds} ms`,
    `wait a little longer, or end it at once: kill -9 ${pid}`,
  );
}
