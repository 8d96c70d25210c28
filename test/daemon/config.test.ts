import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SECOND } from '../../base/time.ts';
import {
  type ConfigSources,
  type DaemonConfig,
  describeKeys,
  flagOptions,
  flagsOf,
  KEYS,
  loadConfig,
} from '../../daemon/config.ts';
import { formatListenAddress, parseDuration, parseListenAddress } from '../../daemon/config-values.ts';
import { refusal } from './refusal.ts';

let home: string;
let state: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'warren-config-'));
  state = join(home, '.warren');
  mkdirSync(state);
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

function load(more: Partial<ConfigSources> = {}): DaemonConfig {
  return loadConfig({ flags: {}, env: {}, home, workingDirectory: '/somewhere', ...more });
}

function file(content: string): void {
  writeFileSync(join(state, 'config.json'), content);
}

describe('where a setting comes from', () => {
  it('is nowhere, and then the default holds', () => {
    expect(load()).toEqual({
      state,
      socket: join(state, 'run'),
      listen: undefined,
      name: undefined,
      passphraseFile: undefined,
      logLevel: 'info',
      logFormat: 'auto',
      logFile: undefined,
      congestion: 'AIMD',
      peerTimeout: 30 * SECOND,
      mtu: 65_507,
      offload: true,
    });
  });

  it('is the flag before the environment before the file', () => {
    file('{"name": "from-file", "logLevel": "debug", "congestion": "bbr"}');
    const env = { WARREN_NAME: 'from-environment', WARREN_LOG_LEVEL: 'warn' };
    const config = load({ env, flags: { name: 'from-flag' } });
    expect(config).toMatchObject({ name: 'from-flag', logLevel: 'warn', congestion: 'BBR' });
  });

  it('is the file of the state directory that flag or environment name', () => {
    const other = join(home, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'config.json'), '{"name": "other"}');
    file('{"name": "usual"}');
    expect(load().name).toBe('usual');
    expect(load({ flags: { state: other } }).name).toBe('other');
    expect(load({ env: { WARREN_STATE: other } }).name).toBe('other');
  });

  it('leaves a variable that is set and empty out', () => {
    expect(load({ env: { WARREN_NAME: '', XDG_RUNTIME_DIR: '' } })).toMatchObject({
      name: undefined,
      socket: join(state, 'run'),
    });
  });

  it('lets the system say where sockets belong', () => {
    expect(load({ env: { XDG_RUNTIME_DIR: '/run/user/7' } }).socket).toBe('/run/user/7/warren');
    expect(load({ env: { XDG_RUNTIME_DIR: '/run/user/7', WARREN_SOCKET: '/tmp/s/app.sock' } }).socket).toBe('/tmp/s');
  });

  it('decides what a relative path starts from', () => {
    file('{"passphraseFile": "secret"}');
    expect(load().passphraseFile).toBe(join(state, 'secret'));
    expect(load({ flags: { 'passphrase-file': 'secret' } }).passphraseFile).toBe('/somewhere/secret');
    expect(load({ env: { WARREN_PASSPHRASE_FILE: '~/secret' } }).passphraseFile).toBe(join(home, 'secret'));
  });
});

describe('each key', () => {
  const examples: { readonly [K in keyof DaemonConfig]: readonly [text: string, value: DaemonConfig[K]] } = {
    state: ['/s', '/s'],
    socket: ['/r', '/r'],
    listen: ['192.0.2.1:4441', { host: '192.0.2.1', port: 4_441 }],
    name: ['alice', 'alice'],
    passphraseFile: ['/p', '/p'],
    logLevel: ['error', 'error'],
    logFormat: ['json', 'json'],
    logFile: ['/l', '/l'],
    congestion: ['cubic', 'CUBIC'],
    peerTimeout: ['2m', 120 * SECOND],
    mtu: ['9000', 9_000],
    offload: ['off', false],
  };
  const keys = Object.keys(KEYS) as (keyof DaemonConfig)[];

  it.each(keys)('%s can be said in every place, and says what is wrong with a bad value in each', (key) => {
    const [text, value] = examples[key];
    const { flag, env, expected, inFile } = KEYS[key];
    expect(load({ flags: { [flag]: text } })[key]).toEqual(value);
    expect(load({ env: { [env]: text } })[key]).toEqual(value);
    const bad = 'no\0good';
    const shown = 'found "no\\u{0}good"';
    expect(refusal(() => load({ flags: { [flag]: bad } })).message).toBe(`--${flag}: expected ${expected}, ${shown}`);
    expect(refusal(() => load({ env: { [env]: bad } })).message).toBe(`${env}: expected ${expected}, ${shown}`);
    if (inFile === 'never') return;
    file(JSON.stringify({ [key]: text }));
    expect(load()[key]).toEqual(value);
    file(`{\n  ${JSON.stringify(key)}: ${JSON.stringify(bad)}\n}`);
    const place = `${join(state, 'config.json')}:2:${key.length + 7}: ${key}`;
    expect(refusal(() => load()).message).toBe(`${place}: expected ${expected}, ${shown}`);
  });

  it('has flag, variable and file key of one name', () => {
    for (const [key, { flag, env }] of Object.entries(KEYS)) {
      const words = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      expect(flag).toBe(words);
      expect(env).toBe(`WARREN_${words.toUpperCase().replaceAll('-', '_')}`);
    }
  });

  it('stands in the options for the command line and in the documentation', () => {
    expect(Object.keys(flagOptions())).toEqual(Object.values(KEYS).map(({ flag }) => flag));
    expect(flagOptions(['logLevel'])).toEqual({
      'log-level': {
        type: 'string',
        requiresArg: true,
        describe: 'LEVEL: the least important events to log (WARREN_LOG_LEVEL)',
        defaultDescription: 'info',
      },
    });
    const documentation = readFileSync(new URL('../../daemon/CONFIGURATION.md', import.meta.url), 'utf8');
    expect(documentation).toContain(`\n\n${describeKeys()}\n`);
    expect(flagsOf({ _: [], $0: 'warren', name: 'alice', logLevel: 'warn', 'log-level': 'warn' })).toMatchObject({
      name: 'alice',
      'log-level': 'warn',
      listen: undefined,
    });
  });
});

describe('an unknown key', () => {
  it('is refused by its name, with the one it resembles', () => {
    const flag = refusal(() => load({ flags: { loglevel: 'warn' } }));
    expect(flag).toMatchObject({
      code: 'ERR_WARREN_CONFIG_KEY',
      message: '"--loglevel" is not a setting of warren',
      hint: 'did you mean --log-level?',
    });
    expect(refusal(() => load({ env: { WARREN_PASSPHRASEFILE: 'x' } }))).toMatchObject({
      message: '"WARREN_PASSPHRASEFILE" in the environment is not a setting of warren',
      hint: 'did you mean WARREN_PASSPHRASE_FILE?',
    });
    file('{"name": "a", "congetsion": "bbr"}');
    expect(refusal(() => load())).toMatchObject({
      message: `${join(state, 'config.json')}:1:15: "congetsion" is not a setting of warren`,
      hint: 'did you mean congestion?',
    });
    file('{"log-level": "warn"}');
    expect(refusal(() => load()).hint).toBe('did you mean logLevel?');
  });

  it('that resembles none is refused with where to look', () => {
    expect(refusal(() => load({ flags: { colour: 'red' } })).hint).toBe('warren up --help lists the settings');
    file('{"__proto__": "x"}');
    expect(refusal(() => load()).message).toContain('"__proto__" is not a setting');
  });

  it('in the environment is somebody else’s where it resembles none of ours', () => {
    // What Kubernetes sets beside a service called "warren".
    const env = { WARREN_SERVICE_HOST: '10.0.0.1', WARREN_PORT: 'tcp://10.0.0.1:80', WARREN_PORT_80_TCP: 'x' };
    expect(load({ env })).toEqual(load());
  });

  it('is not what a flag that was left out is', () => {
    expect(load({ flags: { name: undefined } }).name).toBe(undefined);
  });

  it('cannot move the state directory from within', () => {
    file('{"state": "/elsewhere"}');
    expect(refusal(() => load())).toMatchObject({
      code: 'ERR_WARREN_CONFIG_KEY',
      hint: 'give it with --state or WARREN_STATE',
    });
  });

  it('is shown escaped', () => {
    file('{"\\u001b]0;owned\\u0007": 1}');
    expect(refusal(() => load()).message).toContain('"\\u{1b}]0;owned\\u{7}"');
  });
});

describe('a value', () => {
  it('given twice on the command line is not chosen between', () => {
    expect(refusal(() => load({ flags: { name: ['alice', 'bob'] } })).message).toContain('found 2 values');
  });

  it('of another type in the file is refused', () => {
    for (const value of ['7', 'true', 'null']) {
      file(`{"name": ${value}}`);
      expect(refusal(() => load()).message).toContain(`found ${value}`);
    }
    file('{"mtu": 9000}');
    expect(load().mtu).toBe(9_000);
  });

  it.each(['1199', '65508', '1e4', '01500', '-1200', '1500.5', ''])('is no packet size: %j', (text) => {
    expect(refusal(() => load({ flags: { mtu: text } })).code).toBe('ERR_WARREN_CONFIG_VALUE');
  });

  it('may be no name: said anywhere, it takes the one of the last time away', () => {
    expect(load({ flags: { name: '' } }).name).toBe('');
    file('{"name": ""}');
    expect(load().name).toBe('');
    expect(load({ flags: { name: 'alice' } }).name).toBe('alice');
  });

  it.each(['Alice', 'a b', 'a'.repeat(64), ' '])('is no name: %j', (text) => {
    expect(refusal(() => load({ flags: { name: text } })).code).toBe('ERR_WARREN_CONFIG_VALUE');
  });

  it.each([
    ['[::]:4440', undefined, 4_440, '[::]:4440'],
    ['[::1]:0', '::1', 0, '[::1]:0'],
    ['0.0.0.0:65535', '0.0.0.0', 65_535, '0.0.0.0:65535'],
    ['127.0.0.1:4440', '127.0.0.1', 4_440, '127.0.0.1:4440'],
  ])('is an address to listen on: %s', (text, host, port, again) => {
    const parsed = parseListenAddress(text);
    expect(parsed).toEqual({ value: { host, port } });
    expect(formatListenAddress(parsed!.value)).toBe(again);
  });

  it.each([
    '4440',
    ':4440',
    '127.0.0.1',
    '127.0.0.1:',
    '::1:4440',
    '[127.0.0.1]:1',
    'localhost:4440',
    '1.2.3.4:65536',
    '[::]:-1',
    '[::]:4440 ',
    '*:1',
  ])('is no address to listen on: %j', (text) => expect(parseListenAddress(text)).toBe(undefined));

  it.each([
    ['500ms', 500_000],
    ['30s', 30 * SECOND],
    ['1.5s', 1_500_000],
    ['2m', 120 * SECOND],
    ['1h', 3_600 * SECOND],
  ])('is a time: %s', (text, us) => expect(parseDuration(text)).toEqual({ value: us }));

  it.each(['30', 's', '-1s', '1 s', '1d', '1e3s', '.5s', ''])('is no time: %j', (text) => {
    expect(parseDuration(text)).toBe(undefined);
  });

  it('is a peer timeout from a second to an hour', () => {
    for (const text of ['999ms', '61m', '0s']) {
      expect(refusal(() => load({ flags: { 'peer-timeout': text } })).code).toBe('ERR_WARREN_CONFIG_VALUE');
    }
    expect(load({ flags: { 'peer-timeout': '1s' } }).peerTimeout).toBe(SECOND);
  });

  it('is a socket directory only if sockets in it can have their names', () => {
    const deep = `/${'d'.repeat(100)}`;
    expect(refusal(() => load({ flags: { socket: deep } })).code).toBe('ERR_WARREN_SOCKET_PATH');
  });
});

describe('a file that is not JSON', () => {
  it.each([
    ['', 1, 1, 'expected an object in braces, found the end of the file'],
    ['[]', 1, 1, 'expected an object in braces, found "["'],
    ['{', 1, 2, 'expected a key in double quotes, found the end of the file'],
    ['{name: "a"}', 1, 2, 'expected a key in double quotes, found "n"'],
    ['{"name" "a"}', 1, 9, 'expected a colon, found """'],
    ['{\n  "name": alice\n}', 2, 11, 'expected a text in double quotes or a number, found "a"'],
    ['{\n  "name": "a",\n}', 3, 1, 'expected a key in double quotes, found "}"'],
    ['{"name": "a"\n "mtu": 1200}', 2, 2, 'expected a comma or the closing brace, found """'],
    ['{"name": "a"} x', 1, 15, 'expected nothing after the closing brace, found "x"'],
    ['{"näme🐇": 01}', 1, 12, 'expected a comma or the closing brace, found "1"'],
    ['{"name": {"first": "a"}}', 1, 10, 'expected a text in double quotes or a number, found "{"'],
    ['{"name": "a\tb"}', 1, 10, 'expected a text in double quotes or a number, found """'],
    ['{"name": "a",\n "name": "b"}', 2, 2, '"name" stands in line 1 already'],
  ])('says where: %j', (content, line, column, what) => {
    file(content);
    const error = refusal(() => load());
    expect(error.code).toBe('ERR_WARREN_CONFIG_SYNTAX');
    expect(error.message).toBe(`${join(state, 'config.json')}:${line}:${column}: ${what}`);
  });

  it('is not what white space, escapes or a byte order mark make of one', () => {
    file('\uFEFF\r\n\t{ "n\\u0061me" :\n"\\u0061lice" , "mtu" : 1.5e3 }\n');
    expect(load()).toMatchObject({ name: 'alice', mtu: 1_500 });
  });

  it('or not even text is refused as a whole', () => {
    writeFileSync(join(state, 'config.json'), Uint8Array.of(0x7b, 0xff, 0x7d));
    expect(refusal(() => load())).toMatchObject({ code: 'ERR_WARREN_CONFIG_FILE' });
    file(' '.repeat(70_000));
    expect(refusal(() => load()).message).toContain('larger than 65536 bytes');
  });

  it('nor a file does not hold anybody up', () => {
    mkdirSync(join(state, 'config.json'));
    expect(refusal(() => load()).message).toContain('not a regular file');
    rmSync(join(state, 'config.json'), { recursive: true });
    expect(spawnSync('mkfifo', [join(state, 'config.json')]).status).toBe(0);
    expect(refusal(() => load()).message).toContain('not a regular file');
    rmSync(join(state, 'config.json'));
    symlinkSync('config.json', join(state, 'config.json'));
    expect(refusal(() => load()).message).toContain('ELOOP');
  });
});
