import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as nodeFs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WarrenError } from '../../base/errors.ts';
import { instant, SECOND, type WallMs } from '../../base/time.ts';
import { Secret } from '../../crypto/secret.ts';
import { quoteText } from '../../daemon/escape.ts';
import { Log, type LogFormat, type LogLevel, type LogOutput } from '../../daemon/log.ts';
import { DescriptorOutput, FileOutput, StreamOutput } from '../../daemon/log-outputs.ts';

class Lines implements LogOutput {
  readonly isTerminal: boolean;
  readonly lines: string[] = [];
  isStuck = false;

  constructor(isTerminal = false) {
    this.isTerminal = isTerminal;
  }

  write(line: string): boolean {
    if (!this.isStuck) this.lines.push(line);
    return !this.isStuck;
  }

  async flush(): Promise<void> {}
}

let now = 0;

function open(output: LogOutput, format: LogFormat = 'auto', level: LogLevel = 'info'): Log {
  const wall = Date.UTC(2026, 0, 2, 3, 4, 5, 6) as WallMs;
  return new Log({ level, format, output, clock: { now: () => instant(now), wall: () => wall } });
}

beforeEach(() => {
  now = 0;
});

describe('an event', () => {
  it('is a line of JSON for programs', () => {
    const output = new Lines();
    open(output).warn('peer-gone', { peer: 'alice', port: 80, isOpen: true, none: undefined });
    expect(output.lines).toEqual([
      '{"time":"2026-01-02T03:04:05.006Z","level":"warn","kind":"peer-gone","fields":{"peer":"alice","port":80,"isOpen":true}}\n',
    ]);
  });

  it('is a line for people on a terminal', () => {
    const output = new Lines(true);
    open(output).info('peer-gone', { peer: 'alice', why: 'no answer', quoted: 'a="b"', empty: '', port: 80 });
    expect(output.lines).toEqual([
      '03:04:05.006 info  peer-gone peer=alice why="no answer" quoted="a=\\"b\\"" empty="" port=80\n',
    ]);
  });

  it('has the form that was asked for, wherever it goes', () => {
    const file = new Lines(false);
    open(file, 'human').info('up');
    expect(file.lines).toEqual(['03:04:05.006 info  up\n']);
    const terminal = new Lines(true);
    open(terminal, 'json').info('up');
    expect(JSON.parse(terminal.lines[0]!)).toMatchObject({ kind: 'up' });
  });

  it.each<[LogLevel, string[]]>([
    ['error', ['error']],
    ['warn', ['error', 'warn']],
    ['info', ['error', 'warn', 'info']],
    ['debug', ['error', 'warn', 'info', 'debug']],
  ])('below level %s is left out', (level, kinds) => {
    const output = new Lines();
    const log = open(output, 'json', level);
    log.error('error');
    log.warn('warn');
    log.info('info');
    log.debug('debug');
    expect(output.lines.map((line) => JSON.parse(line).kind)).toEqual(kinds);
  });

  it('may hold an error: its code and message, and its stack line by line', () => {
    const output = new Lines(true);
    const error = new WarrenError('ERR_WARREN_REFUSED', 'no\nthing', 'hint');
    open(output).error('crashed', { error, stack: ['at a', 'at \x1b[2J'] });
    expect(output.lines).toEqual([
      '03:04:05.006 error crashed error="ERR_WARREN_REFUSED: no\\nthing"\n    at a\n    at \\u{1b}[2J\n',
    ]);
  });

  it('escapes what an error quotes, and what came from elsewhere, once', () => {
    const output = new Lines(true);
    const error = new WarrenError('ERR_WARREN_REFUSED', `no command ${quoteText('a\n"b')}`, 'hint');
    open(output).error('failed', { error, name: 'a\n"b' });
    expect(output.lines).toEqual([
      '03:04:05.006 error failed error="ERR_WARREN_REFUSED: no command \\"a\\n\\"b\\"" name="a\\n\\"b"\n',
    ]);
  });

  it('cannot be given a secret', () => {
    const secret = new Secret(Uint8Array.from([115, 101, 99, 114, 101, 116]));
    const output = new Lines();
    // @ts-expect-error That is the first barrier; what is handed in all the same does not show itself.
    expect(() => open(output).info('key', { secret })).toThrow();
    expect(output.lines.join('')).not.toMatch(/secret.*115|c2VjcmV0|736563726574/);
  });
});

describe('text of a stranger', () => {
  const hostile = 'x\n{"level":"error","kind":"forged"}\x1b]0;owned\x07\u202e\u2028\u009b2J"=';

  it.each<LogFormat>(['json', 'human'])('stays in its field: %s', (format) => {
    const output = new Lines();
    open(output, format).info('hello', { name: hostile, names: [hostile, hostile] });
    const text = output.lines.join('');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there.
    expect(text.replaceAll(/\n {4}|\n$/g, '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029]/);
    expect(output.lines.length).toBe(1);
    if (format === 'json') expect(JSON.parse(text)).toMatchObject({ level: 'info', kind: 'hello' });
  });

  it('is cut', () => {
    const output = new Lines();
    open(output).info('hello', { name: 'n'.repeat(1_000_000), names: Array(1_000).fill('n') });
    const { fields } = JSON.parse(output.lines[0]!);
    expect(fields.name.length).toBe(128);
    expect(fields.names.length).toBe(32);
  });
});

describe('a flood', () => {
  it('of one kind is held to its rate, leaves other kinds alone, and is counted in its next line', () => {
    const output = new Lines();
    const log = open(output);
    for (let i = 0; i < 1_000; i++) log.info('noise', { i });
    log.info('signal');
    expect(output.lines.length).toBe(51);
    now = SECOND / 10;
    log.info('noise');
    log.info('noise');
    now = 2 * (SECOND / 10);
    log.info('noise');
    const counted = output.lines.slice(51).map((line) => JSON.parse(line).suppressed);
    expect(counted).toEqual([950, 1]);
  });

  it('of kinds does not grow what is remembered', () => {
    const output = new Lines();
    const log = open(output);
    for (let i = 0; i < 10_000; i++) log.info(`kind-${i}`);
    for (let i = 0; i < 60; i++) log.info('kind-9999');
    expect(output.lines.length).toBe(10_000 + 49);
  });

  it('is told for people too', () => {
    const output = new Lines(true);
    const log = open(output);
    for (let i = 0; i < 52; i++) log.info('noise');
    now = SECOND / 10;
    log.info('noise');
    expect(output.lines.at(-1)).toBe('03:04:05.006 info  noise (2 more of these were left out)\n');
  });
});

describe('an output that is stuck', () => {
  it('loses lines, and the next that gets out says how many', () => {
    const output = new Lines();
    const log = open(output);
    output.isStuck = true;
    for (let i = 0; i < 7; i++) log.info(`lost-${i}`);
    output.isStuck = false;
    log.info('back');
    log.info('again');
    expect(output.lines.map((line) => JSON.parse(line))).toMatchObject([
      { kind: 'back', dropped: 7 },
      { kind: 'again' },
    ]);
    expect(output.lines[1]).not.toContain('dropped');
  });

  it('as a stream is filled to its bound and not further, and goes on when it is read', async () => {
    const stream = new PassThrough({ highWaterMark: 1 });
    const output = new StreamOutput(stream, false);
    const line = `${'x'.repeat(999)}\n`;
    let taken = 0;
    while (output.write(line)) taken += 1;
    expect(taken).toBeLessThan(300);
    expect(stream.writableLength).toBeLessThan(300_000);
    stream.resume();
    await output.flush(10_000);
    expect(stream.writableLength).toBe(0);
    expect(output.write(line)).toBe(true);
  });

  it('as a stream whose reader has left is no error', async () => {
    const stream = new PassThrough();
    const output = new StreamOutput(stream, false);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.destroy(new Error('EPIPE'));
    await closed;
    expect(output.write('x\n')).toBe(false);
    await output.flush(10_000);
  });

  it('as a pipe holds whole lines only, and does not wait', async () => {
    const directory = nodeFs.mkdtempSync(join(tmpdir(), 'warren-log-'));
    const path = join(directory, 'pipe');
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    const { O_NONBLOCK, O_RDONLY, O_WRONLY } = nodeFs.constants;
    const reader = nodeFs.openSync(path, O_RDONLY | O_NONBLOCK);
    const writer = nodeFs.openSync(path, O_WRONLY | O_NONBLOCK);
    try {
      const output = new DescriptorOutput(writer, true);
      // Of a size that does not divide a pipe's.
      const line = (i: number): string => `${String(i).padEnd(6_999, '.')}\n`;
      let sent = 0;
      const taken: number[] = [];
      for (; sent < 100; sent++) if (output.write(line(sent))) taken.push(sent);
      expect(taken.length).toBeGreaterThan(1);
      expect(taken.length).toBeLessThan(50);
      const read = (): string => {
        const buffer = Buffer.alloc(1 << 20);
        return buffer.toString('latin1', 0, nodeFs.readSync(reader, buffer));
      };
      let text = read();
      await output.flush(10_000);
      for (; sent < 103; sent++) if (output.write(line(sent))) taken.push(sent);
      text += read();
      expect(text).toBe(taken.map(line).join(''));
      expect(taken.slice(-3)).toEqual([100, 101, 102]);
    } finally {
      nodeFs.closeSync(reader);
      nodeFs.closeSync(writer);
      nodeFs.rmSync(directory, { recursive: true });
    }
  });
});

describe('a log file', () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = nodeFs.mkdtempSync(join(tmpdir(), 'warren-log-'));
    path = join(directory, 'daemon.log');
  });

  afterEach(() => nodeFs.rmSync(directory, { recursive: true, force: true }));

  it('is for its owner alone, and goes on where it ended', () => {
    nodeFs.writeFileSync(path, 'before\n', { mode: 0o600 });
    const output = new FileOutput(path);
    output.open();
    expect(output.write('after\n')).toBe(true);
    output.close();
    expect(nodeFs.readFileSync(path, 'utf8')).toBe('before\nafter\n');
    const fresh = new FileOutput(join(directory, 'fresh.log'));
    fresh.open();
    fresh.close();
    expect(nodeFs.statSync(join(directory, 'fresh.log')).mode & 0o777).toBe(0o600);
  });

  it('is moved aside when it is full: never more than twice its bound, and no line cut', () => {
    const output = new FileOutput(path, 1_000);
    output.open();
    for (let i = 0; i < 500; i++) {
      expect(output.write(`${String(i).padStart(9, '0')}\n`)).toBe(true);
      expect(nodeFs.statSync(path).size).toBeLessThanOrEqual(1_000);
    }
    output.close();
    const kept = nodeFs.readFileSync(`${path}.1`, 'utf8') + nodeFs.readFileSync(path, 'utf8');
    expect(kept).toBe(Array.from({ length: 200 }, (_, i) => `${String(i + 300).padStart(9, '0')}\n`).join(''));
    expect(nodeFs.readdirSync(directory).sort()).toEqual(['daemon.log', 'daemon.log.1']);
  });

  it('does not write through a symbolic link', () => {
    nodeFs.symlinkSync(join(directory, 'elsewhere'), path);
    expect(() => new FileOutput(path).open()).toThrow(/ELOOP/);
    expect(nodeFs.existsSync(join(directory, 'elsewhere'))).toBe(false);
  });

  it('that cannot be written loses lines and nothing else', () => {
    const output = new FileOutput(join(directory, 'gone', 'daemon.log'));
    expect(output.write('x\n')).toBe(false);
    nodeFs.mkdirSync(join(directory, 'gone'));
    expect(output.write('y\n')).toBe(true);
    output.close();
  });

  // Only Linux has a device that is always full.
  it.runIf(nodeFs.existsSync('/dev/full'))('on a full disk loses lines and nothing else', () => {
    const output = new FileOutput('/dev/full');
    output.open();
    expect(output.write('x\n')).toBe(false);
    output.close();
  });
});

/** Programs of their own, from the compiled sources. */
const compiled = new URL('../../dist/', import.meta.url);
const isCompiled = nodeFs.existsSync(new URL('daemon/log-outputs.js', compiled));

describe.runIf(isCompiled)('standard error (needs `npm run build`)', () => {
  const children: ChildProcess[] = [];

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

  it.each(['socket', 'pipe', ...(hasScript ? ['terminal'] : [])])(
    'whose reader is stuck stops nothing: %s',
    async (kind) => {
      const directory = nodeFs.mkdtempSync(join(tmpdir(), 'warren-log-'));
      const pipe = join(directory, 'pipe');
      const program = join(directory, 'program.mjs');
      const result = join(directory, 'result');
      nodeFs.writeFileSync(
        program,
        `
        import { renameSync, writeFileSync } from 'node:fs';
        import { standardError } from '${new URL('daemon/log-outputs.js', compiled)}';
        const output = standardError();
        let turns = 0;
        for (let i = 0; i < 20000; i++) {
          output.write('x'.repeat(100) + '\\n');
          if (i % 1000 === 0) await new Promise((resolve) => setImmediate(() => resolve(turns++)));
        }
        const refused = !output.write('x\\n');
        await output.flush(100);
        writeFileSync('${result}.tmp', JSON.stringify({ turns, refused, isTerminal: output.isTerminal }));
        renameSync('${result}.tmp', '${result}');
        process.exit(7);
      `,
      );
      expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
      const { O_NONBLOCK, O_RDONLY, O_WRONLY } = nodeFs.constants;
      const reader = nodeFs.openSync(pipe, O_RDONLY | O_NONBLOCK);
      const writer = nodeFs.openSync(pipe, O_WRONLY);
      try {
        // script(1) makes a terminal and copies what comes out of it, here to where nobody reads.
        const [file, ...parameters] =
          kind === 'terminal'
            ? ['script', '-qec', `${process.execPath} ${program}`, join(directory, 'typescript')]
            : [process.execPath, program];
        const child = spawn(file!, parameters, {
          stdio: ['ignore', kind === 'terminal' ? writer : 'ignore', kind === 'socket' ? 'pipe' : writer],
        });
        children.push(child);
        for (let waited = 0; !nodeFs.existsSync(result) && waited < 10_000; waited += 20) await sleep(20);
        expect(JSON.parse(nodeFs.readFileSync(result, 'utf8'))).toEqual({
          turns: 20,
          refused: true,
          isTerminal: kind === 'terminal',
        });
        if (kind !== 'terminal') expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(7);
      } finally {
        for (const child of children.splice(0)) child.kill('SIGKILL');
        nodeFs.closeSync(reader);
        nodeFs.closeSync(writer);
        nodeFs.rmSync(directory, { recursive: true });
      }
    },
  );
});
