import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { type Finished, isCompiled, PROGRAM, Sandbox, typed } from './support.ts';

const sandbox = new Sandbox();
afterAll(() => sandbox.clear());

/** All at once: what they do is starting. */
async function runAll(lines: readonly string[]): Promise<ReadonlyMap<string, Finished>> {
  const words = (line: string): string[] => line.split(' ').filter((word) => word !== '');
  return new Map(await Promise.all(lines.map(async (line) => [line, await sandbox.run(words(line))] as const)));
}

async function scriptFor(shell: string): Promise<string> {
  return (await sandbox.run(['completion', shell])).stdout;
}

/** What bash offers for the last word of the line. */
function complete(script: string, line: string): readonly string[] {
  const words = line.split(' ').map((word) => `'${word}'`);
  const ask = `${script}\nCOMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _warren; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', ask], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.trim().split('\n').sort();
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
  ['ping bob --timeout 5', '--timeout: "5" is no time that can be', 'a time from 1ms to 24h, as 500ms, 5s, 2m or 1h'],
  [
    'dial bob:1 --timeout 0s',
    '--timeout: "0s" is no time that can be',
    'a time from 1ms to 24h, as 500ms, 5s, 2m or 1h',
  ],
  ['down --timeout 25h', '--timeout: "25h" is no time that can be', 'a time from 1ms to 24h, as 500ms, 5s, 2m or 1h'],
  [
    'ping bob --interval 25h',
    '--interval: "25h" is no time that can be',
    'a time from 0ms to 24h, as 500ms, 5s, 2m or 1h',
  ],
  ['status --json=foo', '--json takes no value', 'say --json, or leave it out'],
  ['--json= status', '--json takes no value', 'say --json, or leave it out'],
  ['listen 1 --keep=true', '--keep takes no value', 'say --keep, or leave it out'],
  ['up --detach=no', '--detach takes no value', 'say --detach, or leave it out'],
  ['ping --help=1', '--help takes no value', 'say --help, or leave it out'],
  ['listen 1 --keep true', 'listen does not take "true" as well', 'warren listen --help'],
  ['help statsu', 'there is no command "statsu"', 'did you mean status?'],
  ['statsu --help', 'there is no command "statsu"', 'did you mean status?'],
  ['help peer lsit', 'there is no command "peer lsit"', 'did you mean peer list?'],
  ['help ping bob alice', 'help does not take "alice" as well', 'warren help --help'],
  [`peer add x${' --endpoint a:1'.repeat(9)}`, '--endpoint was given 9 times', 'a peer has at most 8 endpoints'],
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
      stderr: `warren: ${why} (ERR_WARREN_USAGE)\n  ${typed(hint)}\n`,
    }));
    const found = [...results].map(([line, { status, stdout, stderr }]) => ({ line, status, stdout, stderr }));
    expect(found).toEqual(expected);
  });

  it('says the same as JSON: on standard output, or where that is the bytes of a stream on standard error', async () => {
    const results = await runAll(['ping --json', 'dial --json', '--json nothing', '--json']);
    const said = [...results].map(([line, { status, stdout, stderr }]) => [line, status, stdout, stderr]);
    const json = (message: string, hint: string): string =>
      `${JSON.stringify({ ok: false, error: { code: 'ERR_WARREN_USAGE', message, hint: typed(hint) } })}\n`;
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
    const results = await runAll(['--help', '', 'dial --help', 'peer add -h', '-h peer']);
    expect(results.get('--help')).toMatchObject({ status: 0, stderr: '' });
    expect(results.get('--help')!.stdout).toMatch(/warren ping <PEER> +how long/);
    expect(results.get('')).toMatchObject({ status: 2, stdout: '' });
    expect(results.get('')!.stderr).toContain(results.get('--help')!.stdout);
    expect(results.get('dial --help')!.stdout).toMatch(
      /^warren dial <PEER:PORT> \[PORT\]: open a stream[\s\S]*--timeout/,
    );
    expect(results.get('peer add -h')!.stdout).toMatch(/^warren peer add <RECORD>[\s\S]*--endpoint/);
    expect(results.get('-h peer')!.stdout).toMatch(/^warren peer\n[\s\S]*warren peer list/);
  });

  it.each([
    ['help', '--help'],
    ['help peer', 'peer --help'],
    ['help peer add', 'peer add --help'],
    ['help dial', 'dial --help'],
    ['help ping --json', 'ping --json --help'],
    ['help help', 'help --help'],
  ])('shows the same for `warren %s` as for `warren %s`', async (line, other) => {
    const results = await runAll([line, other]);
    expect(results.get(line)).toEqual(results.get(other));
    expect(results.get(line)).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('warren') });
  });

  it('takes no word away behind an option that has no value', async () => {
    const { error } = await sandbox.json(['ping', '--json', 'true', '--timeout', '1ms']);
    expect(error).toMatchObject({ code: 'ERR_WARREN_DAEMON_NOT_RUNNING' });
  });

  it('escapes what it quotes once', async () => {
    const { stderr } = await sandbox.run(['a\u001b[2J\nb']);
    expect(stderr).toMatch(/^warren: there is no command "a\\u\{1b\}\[2J\\nb" \(ERR_WARREN_USAGE\)\n/);
    const { error } = await sandbox.json(['a\nb']);
    expect(error.message).toBe('there is no command "a\\nb"');
    const missing = await sandbox.run(['status', '--socket', 'a\u001bb']);
    expect(missing.stderr).toMatch(/^warren: no daemon answers at ".*\/a\\u001bb"/);
  });

  it('ends with the codes that its manual, and the README, name', async () => {
    const { data } = await sandbox.json(['--help']);
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const rows = Object.entries<string>(data.output.exitCodes).map(([code, what]) => `| ${code} | ${what} |\n`);
    expect(readme).toContain(`| exit code | |\n|---|---|\n${rows.join('')}`);
    expect(Object.keys(data.output.exitCodes)).toEqual(['0', '1', '2', '129, 130, 143']);
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
      expect(stderr).toMatch(/^warren: no daemon answers at ".*" \(ERR_WARREN_DAEMON_NOT_RUNNING\)\n/);
      expect(stderr.split('\n')[1]).toBe(`  start one with: ${PROGRAM} up`);
    }
    const { ok, error, status } = await sandbox.json(['status']);
    expect([ok, status, error.code]).toEqual([false, 1, 'ERR_WARREN_DAEMON_NOT_RUNNING']);
  });

  it('names the daemon that was meant in the commands it prints, so that they can be typed as they stand', async () => {
    const places = ['--socket', 'so cket', '--state', 'state'];
    const { error } = await sandbox.json([...places, 'status']);
    expect(error.hint).toBe(`start one with: ${PROGRAM} --socket 'so cket' --state state up`);
    const { stderr } = await sandbox.run(['peer', ...places]);
    expect(stderr).toContain(`${PROGRAM} --socket 'so cket' --state state peer add, ${PROGRAM} --socket`);
    // A help is the same for all of them.
    expect((await sandbox.json(['ping', ...places])).error.hint).toBe(`${PROGRAM} ping --help`);
  });

  it.each([
    ['warren sta', ['status']],
    ['warren peer ', ['add', 'list', 'remove']],
    ['warren --socket peer pe', ['peers', 'peer']],
    ['warren peer add x --end', ['--endpoint']],
    ['warren ping alice --co', ['--count']],
    ['warren service sys', ['systemd']],
  ])('completes %j in bash', async (line, expected) => {
    expect(complete(await scriptFor('bash'), line)).toEqual([...expected].sort());
  });

  it.for(['bash', 'zsh'])('writes a script that %s can read', async (shell, { skip }) => {
    const { stdout: script } = await sandbox.run(['completion', shell]);
    const { error, status, stderr } = spawnSync(shell, ['-n'], { input: script, encoding: 'utf8' });
    if (error !== undefined) skip(`${shell} is not installed here`);
    expect([status, stderr]).toEqual([0, '']);
  });

  it('completes every command that there is', async () => {
    const { data } = await sandbox.json(['--help']);
    const words = new Set(data.commands.map(({ name }: { name: string }) => name.split(' ')[0]));
    expect(complete(await scriptFor('bash'), 'warren ')).toEqual([...words].sort());
    const zsh = await scriptFor('zsh');
    for (const word of words) expect(zsh).toContain(`'${word}:`);
  });

  it('writes a unit for systemd and an agent for launchd', async () => {
    const unit = await sandbox.run(['service', 'systemd', '--name', 'alice', '--state', 'here']);
    expect(unit.status).toBe(0);
    expect(unit.stdout).toContain(`main.js up --state ${sandbox.path('here')} --name alice\n`);
    expect(unit.stderr).toContain(`${sandbox.path('.config/systemd/user/warren.service')}. Then:\n  systemctl --user`);
    const nameless = await sandbox.run(['service', 'systemd', '--name', '']);
    expect([nameless.status, nameless.stdout]).toEqual([0, expect.stringContaining('main.js up --name ""\n')]);
    const agent = await sandbox.json(['service', 'launchd']);
    expect(agent.data).toMatchObject({ path: sandbox.path('Library/LaunchAgents/org.warren.daemon.plist') });
    expect(agent.data.content).toContain('<string>up</string>');
    const wrong = await sandbox.run(['service', 'systemd', '--name', 'Not A Name']);
    expect(wrong.status).toBe(2);
  });
});
