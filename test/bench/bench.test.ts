import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bench, main, reportOf } from './reports.ts';

// What is measured is not looked at here, only that it is said.
describe.runIf(existsSync(main))('npm run bench (needs `npm run build`)', () => {
  it('handshake counts both sides with both backends', async () => {
    const results = await reportOf('handshake', '1');
    expect(results.map(({ case: name, metric, unit }) => [name, metric, unit])).toEqual(
      ['responder openssl', 'responder noble', 'initiator openssl', 'initiator noble'].map((name) => [
        name,
        'handshakes',
        '1/s',
      ]),
    );
    for (const { value } of results) expect(value).toBeGreaterThan(0);
  });

  it('handshake-flood says what each kind of junk costs, and ends the processes it started', async () => {
    const results = await reportOf('handshake-flood', '1');
    const metrics = [
      ['cpu', '% of a core'],
      ['received', '1/s'],
      ['sent', '1/s'],
      ['short of the rate', '%'],
      ['memory growth', 'MiB'],
      ['replies', ''],
      ['event loop delay p99', 'ms'],
      ['honest nodes connected', '%'],
      ['honest node connects in', 'ms'],
    ];
    expect(results.map(({ case: name, metric, unit }) => [name, metric, unit])).toEqual(
      ['bad MAC1', 'random bytes', 'valid MAC1, forged, no cookie'].flatMap((name) =>
        metrics.map((metric) => [name, ...metric]),
      ),
    );
    const figure = (name: string, metric: string) =>
      results.find((one) => one.case === name && one.metric === metric)?.value;
    // Whoever does not know our key gets no byte from us: no figure, but the protocol.
    expect([figure('bad MAC1', 'replies'), figure('random bytes', 'replies')]).toEqual([0, 0]);
    expect(figure('valid MAC1, forged, no cookie', 'replies')).toBeGreaterThan(0);
  });

  it('hostile-client says what each attack costs another program, which none of them cuts off', async () => {
    const results = await reportOf('hostile-client', '0.2');
    const metrics = [
      ['idle echo p99', 'ms'],
      ['echo p99', 'ms'],
      ['echo p99 against idle', ''],
      ['echoes', '1/s'],
      ['hostile connections', '1/s'],
      ['of which closed', '1/s'],
      ['memory growth', 'MiB'],
    ];
    const attacks = [
      'length 2³² − 1',
      'a million empty frames',
      'a byte a second',
      'never reads',
      'unknown commands',
      '10,000 dials',
    ];
    expect(results.map(({ case: name, metric, unit }) => [name, metric, unit])).toEqual(
      attacks.flatMap((name) => metrics.map((metric) => [name, ...metric])),
    );
    for (const { metric, value } of results) if (metric === 'echoes') expect(value).toBeGreaterThan(0);
  });

  it('shows people the machine and a table', async () => {
    const { status, lines } = await bench('handshake', '--seconds', '0.1');
    expect(status).toBe(0);
    expect(lines[0]).toMatch(/^handshake on .* cores, .* GiB, .*, Node .*, OpenSSL /);
    expect(lines.some((line) => /^responder openssl +handshakes +[\d,.]+ +1\/s +.* in 5 rounds/.test(line))).toBe(true);
  });
});
