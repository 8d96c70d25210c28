import { spawnSync } from 'node:child_process';
import * as nodeFs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ServiceOptions, serviceFile } from '../../daemon/service-files.ts';

const PLAIN: ServiceOptions = {
  node: '/usr/bin/node',
  script: '/opt/warren/dist/cli/main.js',
  flags: [],
  home: '/home/alice',
};
const AWKWARD: ServiceOptions = {
  node: '/usr/bin/node',
  script: '/opt/my "warren" 100% $HOME \\ <&>/main.js',
  flags: ['--state', "/home/alice/it's here"],
  home: '/home/alice',
};

describe('a systemd unit', () => {
  it('runs the daemon for its user, restarts it when it fails, and takes from it what it does not need', () => {
    const { path, content, commands } = serviceFile('systemd', { ...PLAIN, flags: ['--name', 'alice'] });
    expect(path).toBe('/home/alice/.config/systemd/user/warren.service');
    expect(content).toContain('\nExecStart=/usr/bin/node /opt/warren/dist/cli/main.js up --name alice\n');
    expect(content).toContain('\nRestart=on-failure\n');
    expect(content).toContain('\nNoNewPrivileges=yes\n');
    expect(content).toContain('\nWantedBy=default.target\n');
    expect(content).not.toMatch(/MemoryDenyWriteExecute|ProtectSystem/);
    expect(commands).toContain('systemctl --user enable --now warren.service');
  });

  it('quotes what systemd would read otherwise', () => {
    expect(serviceFile('systemd', AWKWARD).content).toContain(
      `ExecStart=/usr/bin/node "/opt/my \\"warren\\" 100%% $$HOME \\\\ <&>/main.js" up --state "/home/alice/it's here"\n`,
    );
  });

  const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

  it.runIf(hasSystemd)('is one that systemd understands', () => {
    const directory = nodeFs.mkdtempSync(join(tmpdir(), 'warren-service-'));
    try {
      const unit = join(directory, 'warren.service');
      nodeFs.writeFileSync(unit, serviceFile('systemd', { ...PLAIN, node: process.execPath }).content);
      const { stderr } = spawnSync('systemd-analyze', ['--user', 'verify', unit], { encoding: 'utf8' });
      expect(stderr.split('\n').filter((line) => line.includes('warren'))).toEqual([]);
    } finally {
      nodeFs.rmSync(directory, { recursive: true });
    }
  });
});

describe('a launch agent', () => {
  it('runs the daemon for its user, with a log of its own, and restarts it when it fails', () => {
    const { path, content } = serviceFile('launchd', PLAIN);
    expect(path).toBe('/home/alice/Library/LaunchAgents/org.warren.daemon.plist');
    const words = [...content.matchAll(/^ {4}<string>(.*)<\/string>$/gm)].map((match) => match[1]);
    expect(words).toEqual([
      '/usr/bin/node',
      '/opt/warren/dist/cli/main.js',
      'up',
      '--log-file',
      '/home/alice/Library/Logs/warren.log',
    ]);
    expect(content).toMatch(/<key>KeepAlive<\/key>\s*<dict>\s*<key>SuccessfulExit<\/key>\s*<false\/>/);
  });

  it('leaves a log file that was asked for as it is', () => {
    const { content } = serviceFile('launchd', { ...PLAIN, flags: ['--log-file=/tmp/w.log'] });
    expect(content.match(/log-file/g)?.length).toBe(1);
  });

  it('is XML whatever the paths are', () => {
    const { content } = serviceFile('launchd', AWKWARD);
    expect(content).toContain('<string>/opt/my "warren" 100% $HOME \\ &lt;&amp;&gt;/main.js</string>');
    const text = content.replaceAll(/<[!?]?[/A-Za-z][^<>]*>/g, '');
    expect(text).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/);
  });
});

it.each(['systemd', 'launchd'] as const)('a path with a line break is no part of a service file: %s', (manager) => {
  const flags = ['--state', '/tmp/x\nExecStartPre=/bin/evil'];
  expect(() => serviceFile(manager, { ...PLAIN, flags })).toThrow(/control characters/);
});
