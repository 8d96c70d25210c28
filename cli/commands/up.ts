import { homedir } from 'node:os';
import { type DaemonConfig, flagOptions, flagsOf, loadConfig } from '../../daemon/config.ts';
import type { StartReport } from '../../daemon/daemon.ts';
import { isDetached, startDetached } from '../../daemon/detach.ts';
import { shellWord } from '../../daemon/file-errors.ts';
import { socketPaths } from '../../ipc/socket-path.ts';
import type { Command } from '../command.ts';
import { pairs } from '../format.ts';
import type { Output } from '../output.ts';
import { MAIN_PATH, programName } from '../program-name.ts';
import { outliveOutput } from '../reader.ts';

export const up: Command = {
  options: {
    ...flagOptions(),
    detach: { type: 'boolean', describe: 'in the background, with its log in the state directory' },
  },
  examples: [
    ['warren up --name alice', 'in the foreground, until Ctrl-C'],
    ['warren up --detach', 'in the background, until warren down'],
    ['warren up --state ~/bob --socket ~/bob/run --listen [::]:0', 'a second one on this machine'],
  ],
  notes: 'With --json: one line when it is ready, then the log as JSON on standard error.',
  async run({ args, output, version }) {
    const config = loadConfig({
      flags: flagsOf(args.values),
      env: process.env,
      home: homedir(),
      workingDirectory: process.cwd(),
    });
    if (args.flag('detach') && !isDetached()) {
      const command = [process.execPath, ...process.execArgv, MAIN_PATH, ...process.argv.slice(2)];
      tellStarted(await startDetached(config, { command, env: process.env }), output, version, true);
      return 0;
    }
    outliveOutput();
    const { runDaemon } = await import('../../daemon/run-daemon.ts');
    return await runDaemon(withLogFor(config, output), {
      version,
      // In the background it is the other process that tells.
      onStarted: (report) => isDetached() || tellStarted(report, output, version, false),
    });
  },
};

function withLogFor(config: DaemonConfig, { isJson }: Output): DaemonConfig {
  return isJson && config.logFormat === 'auto' ? { ...config, logFormat: 'json' } : config;
}

function tellStarted(report: StartReport, output: Output, version: string, isInBackground: boolean): void {
  output.result({ ...report, version }, () => describe(report, output, version, isInBackground));
}

function describe(report: StartReport, { style }: Output, version: string, isInBackground: boolean): string {
  const { bold, dim } = style;
  const name = report.name === '' ? '' : `  (${report.name})`;
  const facts = pairs(
    [
      ['address', `${bold(report.address)}${name}`],
      ['udp', report.listen],
      ['socket', report.socket],
      ['state', `${report.state}${report.created ? dim('  (a new identity: back up identity.json)') : ''}`],
    ],
    '  ',
  );
  const warren = `${programName()}${socketFlag(report)}`;
  const next = pairs(
    [
      [`${warren} record`, "this node's record: give it to the other side"],
      [`${warren} peer add RECORD --endpoint HOST:PORT`, 'take in the record of the other side'],
      [`${warren} listen 1000`, 'wait for a stream on port 1000'],
      [`${warren} dial PEER:1000`, 'open it, on the other side'],
      [`${programName()} demo`, 'or watch two nodes do all of this'],
    ],
    '  ',
  );
  const end = isInBackground ? `End it with: ${warren} down` : 'End it with Ctrl-C.';
  const where = isInBackground ? `in the background (pid ${report.pid})` : 'up';
  return `warren ${version} is ${where}\n\n${facts}\n\nWhat to do next${isInBackground ? '' : ', in another terminal'}:\n\n${next}\n\n${end}`;
}

/** Commands find the usual place, and what the environment says, by themselves. */
function socketFlag({ socket }: StartReport): string {
  const { WARREN_SOCKET, XDG_RUNTIME_DIR } = process.env;
  const usual = socketPaths({ WARREN_SOCKET, XDG_RUNTIME_DIR }).directory;
  return socket === usual ? '' : ` --socket ${shellWord(socket)}`;
}
