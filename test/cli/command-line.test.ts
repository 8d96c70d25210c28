import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { type Finished, isCompiled, Sandbox } from './support.ts';

const sandbox = new Sandbox();
afterAll(() => sandbox.clear());

/** All at once: what they do is starting. */
async function runAll(lines: readonly string[]): Promise<ReadonlyMap<string, Finished>> {
  const words = (line: string): string[] => line.split(' ').filter((word) => word !== '');
  return new Map(await Promise.all(lines.map(async (line) => [line, await sandbox.run(words(line))] as const)));
}

const MISUSES: readonly (readonly [line: string, why: string, hint: string])[] = [
  ['statsu', 'there is no command "statsu"', 'did you mean status?'],
  ['xyzzy', 'there is no command "xyzzy"', 'warren --help lists the commands'],
  ['peer', 'peer does nothing by itself', 'say one of: warren peer add, warren peer list, warren peer remove'],
  ['peer lsit', 'there is no command "peer lsit"', 'did you mean peer list?'],
  ['ping', 'ping needs PEER', 'warren ping --help'],
  ['peer remove', 'peer remove needs PEER', 'warren peer remove --help'],
  ['ping bob alice', 'ping does not take "alice" as well', 'warren ping --help'],
  ['ping bob --cuont 3', 'ping has no option "--cuont"', 'did you mean --count?'],
  ['ping bob -x', 'ping has no option "-x"', 'warren ping --help'],
  ['ping bob --count', '--count needs a value', 'warren ping --help'],
  ['ping bob --count 1 --count 2', '--count was given 2 times', 'give it once'],
  ['ping bob --count 0', '--count: "0" is no number from 1 to 1000000', 'give a whole number'],
  ['ping bob --timeout 5', '--timeout: "5" is no time that can be', 'as 500ms, 5s, 2m, 1h'],
  ['dial bob', '"bob" names no port', 'say PEER:PORT, as alice:80 or 0:0000.7F3A.19C2:80'],
  ['dial bob:0', '"0" is no port', 'a port is a number from 1 to 65535'],
  ['dial bob 70000', '"70000" is no port', 'a port is a number from 1 to 65535'],
  ['listen http', '"http" is no port', 'a port is a number from 0 to 65535'],
  ['bench bob --size 1QB', '--size: "1QB" is no size that can be', 'as 500KB, 64MB, 1GiB'],
  ['bench bob --cc reno', '--cc: "reno" is no congestion controller', 'say aimd, cubic, bbr'],
  ['service openrc', '"openrc" is no service manager that is known here', 'say systemd or launchd'],
  ['completion fish', 'there is no completion for "fish"', 'say bash or zsh'],
];

describe.runIf(isCompiled)('the command line (needs `npm run build`)', () => {
  it('refuses what it does not understand with 2, what is wrong, and what to do', async () => {
    const results = await runAll(MISUSES.map(([line]) => line));
    const expected = MISUSES.map(([line, why, hint]) => ({
      line,
      status: 2,
      stdout: '',
      stderr: `warren: ${why} (ERR_WARREN_USAGE)\n  ${hint}\n`,
    }));
    const found = [...results].map(([line, { status, stdout, stderr }]) => ({ line, status, stdout, stderr }));
    expect(found).toEqual(expected);
  });

  it('says the same as JSON: on standard output, or where that is the bytes of a stream on standard error', async () => {
    const results = await runAll(['ping --json', 'dial --json', '--json nothing', '--json']);
    const said = [...results].map(([line, { status, stdout, stderr }]) => [line, status, stdout, stderr]);
    const json = (message: string, hint: string): string =>
      `${JSON.stringify({ ok: false, error: { code: 'ERR_WARREN_USAGE', message, hint } })}\n`;
    expect(said).toEqual([
      ['ping --json', 2, json('ping needs PEER', 'warren ping --help'), ''],
      ['dial --json', 2, '', json('dial needs PEER:PORT', 'warren dial --help')],
      ['--json nothing', 2, json('there is no command "nothing"', 'warren --help lists the commands'), ''],
      ['--json', 2, json('no command was given', 'warren --help lists them'), ''],
    ]);
  });

  it('calls a setting that is wrong a wrong command line, wherever it stands', async () => {
    const results = await runAll(['up --name Alice!', 'up --log-level loud --json']);
    expect(results.get('up --name Alice!')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--name: expected at most 63 lower-case letters'),
    });
    const { status, stdout } = results.get('up --log-level loud --json')!;
    expect([status, JSON.parse(stdout).error.code]).toEqual([2, 'ERR_WARREN_CONFIG_VALUE']);
    const { status: other, stderr } = await sandbox.run(['up'], { env: { WARREN_MTU: '12' } });
    expect([other, stderr]).toEqual([2, expect.stringContaining('WARREN_MTU: expected a number of bytes')]);
  });

  it('gives its help where it is asked for, and its list of commands to whoever says nothing', async () => {
    const results = await runAll(['--help', '', 'dial --help', 'peer add -h']);
    expect(results.get('--help')).toMatchObject({ status: 0, stderr: '' });
    expect(results.get('--help')!.stdout).toMatch(/warren ping <PEER> +how long/);
    expect(results.get('')).toMatchObject({ status: 2, stdout: '' });
    expect(results.get('')!.stderr).toContain(results.get('--help')!.stdout);
    expect(results.get('dial --help')!.stdout).toMatch(
      /^warren dial <PEER:PORT> \[PORT\]: open a stream[\s\S]*--timeout/,
    );
    expect(results.get('peer add -h')!.stdout).toMatch(/^warren peer add <RECORD>[\s\S]*--endpoint/);
  });

  it('describes itself to programs', async () => {
    const { data } = await sandbox.json(['--help']);
    const names = data.commands.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'up',
        'down',
        'status',
        'record',
        'peer add',
        'peer list',
        'peer remove',
        'demo',
        'dial',
      ]),
    );
    const ping = await sandbox.json(['ping', '--help']);
    expect(ping.data.commands).toHaveLength(1);
    expect(ping.data.commands[0].options['--count']).toMatchObject({ default: '4' });
  });

  it('says its version', async () => {
    const { stdout } = await sandbox.run(['--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { data } = await sandbox.json(['--version']);
    expect(`${data.version}\n`).toBe(stdout);
  });

  it('says how to start a daemon where none runs', async () => {
    const lines = ['status', 'record', 'peers', 'down', 'dial bob:80', 'listen 80', 'bench bob'];
    const results = await runAll(lines);
    for (const { status, stdout, stderr } of results.values()) {
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(
        /^warren: no daemon answers at ".*" \(ERR_WARREN_NO_DAEMON\)\n {2}start one with: .*warren up/,
      );
    }
    const { ok, error, status } = await sandbox.json(['status']);
    expect([ok, status, error.code]).toEqual([false, 1, 'ERR_WARREN_NO_DAEMON']);
  });

  it.each([
    ['warren sta', ['status']],
    ['warren peer ', ['add', 'list', 'remove']],
    ['warren --socket peer pe', ['peers', 'peer']],
    ['warren peer add x --end', ['--endpoint']],
    ['warren ping alice --co', ['--count']],
    ['warren service sys', ['systemd']],
  ])('completes %j in bash', async (line, expected) => {
    const { stdout: script } = await sandbox.run(['completion', 'bash']);
    const words = line.split(' ').map((word) => `'${word}'`);
    const ask = `${script}\nCOMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _warren; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', ask], { encoding: 'utf8' });
    expect([stdout.trim().split('\n').sort(), stderr]).toEqual([[...expected].sort(), '']);
  });

  it('writes a unit for systemd and an agent for launchd', async () => {
    const unit = await sandbox.run(['service', 'systemd', '--name', 'alice', '--state', 'here']);
    expect(unit.status).toBe(0);
    expect(unit.stdout).toContain(`main.js up --state ${sandbox.path('here')} --name alice\n`);
    expect(unit.stderr).toContain(`${sandbox.path('.config/systemd/user/warren.service')}. Then:\n  systemctl --user`);
    const agent = await sandbox.json(['service', 'launchd']);
    expect(agent.data).toMatchObject({ path: sandbox.path('Library/LaunchAgents/org.warren.daemon.plist') });
    expect(agent.data.content).toContain('<string>up</string>');
    const wrong = await sandbox.run(['service', 'systemd', '--name', 'Not A Name']);
    expect(wrong.status).toBe(2);
  });
});
