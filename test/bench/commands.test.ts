import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** The compiled programs, as `npm run` starts them: what they say to people, not what they do. */
const programOf = (name: string): string => fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url));
const COMMANDS = ['sim/main', 'fuzz/main', 'bench/main', 'bench/vectors'] as const;

function run(name: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [programOf(name), ...args], {
    encoding: 'utf8',
    timeout: 100_000,
  });
  return { status, stdout, stderr };
}

const MISUSES: readonly (readonly [string, readonly string[], string])[] = [
  ['sim/main', [], 'name a seed: --seed N, or CAMPAIGN --seeds A..B'],
  ['sim/main', ['--seed', ''], '--seed is a whole number of at least 0, and not ""'],
  ['sim/main', ['--seed', '1.5'], '--seed is a whole number of at least 0, and not "1.5"'],
  ['sim/main', ['--seed', '1', '--seeds', '1..2'], '--seed means nothing with a range of seeds'],
  ['sim/main', ['--seed', '1', '--jobs', '2'], '--jobs means nothing with one seed'],
  ['sim/main', ['--seeds', '1..2', '--trace'], '--trace means nothing with a range of seeds'],
  ['sim/main', ['--seeds', '1..2', '--jobs', '65'], '--jobs is a whole number from 1 to 64, and not "65"'],
  ['sim/main', ['--seeds', '2..1'], '--seeds is A..B with A ≤ B, and not "2..1"'],
  ['sim/main', ['replay', '--seed', '1', '--trace'], 'replay cannot be traced'],
  ['sim/main', ['--seed', '1', '--resume', 'x'], '--resume means nothing with one seed'],
  ['sim/main', ['grid', '--seed', '1'], '--seed means nothing to the grid'],
  ['sim/main', ['grid', 'more'], 'one campaign at a time, and not more as well'],
  ['sim/main', ['grid', '--jobs', '0'], '--jobs is a whole number from 1 to 64, and not "0"'],
  ['sim/main', ['grid', '--check', '--write'], '--check means nothing with --write'],
  ['sim/main', ['grid', '--write', '--only', 'BBR'], '--only means nothing with --write'],
  ['sim/main', ['grid', '--only', ''], "--only names a part of a row's name"],
  ['sim/main', ['grid', '--only', 'nothing'], 'no row has "nothing" in its name'],
  ['sim/main', ['swarm', '--seed', '1', '--check'], '--check means nothing to a campaign'],
  ['sim/main', ['swarm', '--seed', '1', '--json'], '--json means nothing to a campaign'],
  ['sim/main', ['nothing', '--seed', '1'], 'there is no campaign nothing'],
  ['sim/main', ['swarm', 'lossy', '--seed', '1'], 'one campaign at a time, and not lossy as well'],
  ['fuzz/main', ['nothing'], 'there is no target nothing'],
  ['fuzz/main', ['--inputs', '0'], '--inputs is a whole number of at least 1, and not "0"'],
  ['fuzz/main', ['--inputs', ''], '--inputs is a whole number of at least 1, and not ""'],
  ['fuzz/main', ['frames', '--input', 'zz'], '--input is hex, two digits a byte, and not zz'],
  ['fuzz/main', ['--input', '00'], '--input takes one target'],
  ['bench/main', [], 'name a benchmark'],
  ['bench/main', ['nothing'], 'there is no benchmark nothing'],
  ['bench/main', ['handshake', 'more'], 'one benchmark at a time, and not more as well'],
  ['bench/main', ['handshake', '--seconds', '0'], '--seconds is a number above 0, up to 3600, and not "0"'],
  ['bench/main', ['handshake', '--mtu', '1200'], '--mtu means nothing to handshake'],
  ['bench/main', ['latency', '--gigabytes', '4'], '--gigabytes means nothing to latency'],
  ['bench/main', ['all', '--no-offload'], '--no-offload means nothing to all'],
  ['bench/main', ['loopback', '--write'], '--write means nothing to loopback'],
  ['bench/main', ['loopback', '--mtu', '1199'], '--mtu is a whole number from 1200 to 65507, and not "1199"'],
  ['bench/vectors', ['--seed', 'x'], '--seed is a whole number of at least 0, and not "x"'],
  ['bench/vectors', ['more'], "Unexpected argument 'more'"],
];

describe.runIf(existsSync(programOf('sim/main')))('the commands (need `npm run build`)', () => {
  it.each(COMMANDS)('%s gives its usage where it is asked for, and after an option that there is not', (name) => {
    const asked = run(name, '--help');
    expect(asked).toMatchObject({ status: 0, stderr: '' });
    expect(asked.stdout).toMatch(/^npm run \w+ -- /);
    expect(run(name, '--bogus')).toEqual({
      status: 2,
      stdout: '',
      stderr: `Unknown option '--bogus'\n\n${asked.stdout}`,
    });
  });

  it.each(MISUSES)('%s %j is refused with what is wrong about it', (name, args, why) => {
    const { status, stdout, stderr } = run(name, ...args);
    expect({ status, stdout, why: stderr.split('\n\n', 1)[0] }).toEqual({ status: 2, stdout: '', why });
    expect(stderr).toContain('\n\nnpm run ');
  });

  it('end without a word when nobody reads on', async () => {
    const child = spawn(process.execPath, [programOf('sim/main'), '--seed', '7', '--trace']);
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const [status] = await once(child, 'close');
    expect({ status, complaint }).toEqual({ status: 0, complaint: '' });
  });
});
