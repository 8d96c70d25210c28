import { dirname, join } from 'node:path';
import { WarrenError } from '../base/errors.ts';
import { SECOND } from '../base/time.ts';
import { socketPaths } from '../ipc/socket-path.ts';
import type { ControllerName } from '../transport/congestion/controller.ts';
import { placeIn, readConfigFile } from './config-file.ts';
import type { ListenAddress, Parsed, ValueContext } from './config-values.ts';
import {
  parseChoice,
  parseListenAddress,
  parseMtu,
  parseName,
  parsePath,
  parsePeerTimeout,
  parseSocketDirectory,
} from './config-values.ts';
import { quoteText } from './escape.ts';
import { PORT_DEFAULT } from './listen-port.ts';
import type { LogFormat, LogLevel } from './log.ts';
import { nearest } from './nearest.ts';
import { DATAGRAM_BYTES_MAX } from './udp-route.ts';

/**
 * What a daemon may be told, and where: on the command line, in the environment, in `config.json` of its state directory; the
 * first that says something wins. Each key stands once, in `KEYS`: command line, environment, file and help follow from there.
 *
 * Nothing is ignored in silence: a key that does not exist is refused with the one it resembles, and a value that means nothing
 * with the place it stands in and what would be right.
 */
export interface DaemonConfig {
  /** Absolute, as all paths here. */
  readonly state: string;
  readonly socket: string;
  /** Where it is left out: every address, and the port of the last time, else 4440, else the next free one. */
  readonly listen: ListenAddress | undefined;
  /** Empty where it is to have none; left out, the name of the last time. */
  readonly name: string | undefined;
  readonly passphraseFile: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Standard error where it is left out. */
  readonly logFile: string | undefined;
  readonly congestion: ControllerName;
  /** In microseconds. */
  readonly peerTimeout: number;
  /** In bytes. */
  readonly mtu: number;
  /** Whether the system's help is used where it has any. */
  readonly offload: boolean;
}

export type ConfigKey = keyof DaemonConfig;

export interface KeyDefinition<T> {
  /** Without its dashes. */
  readonly flag: string;
  readonly env: string;
  /** In the file a key has its own name. A number may stand there without quotes where the value is one. */
  readonly inFile: 'text' | 'number' | 'never';
  /** What stands for the value in a usage line. */
  readonly placeholder: string;
  readonly help: string;
  /** What may be said, as the end of a sentence that begins with "expected". */
  readonly expected: string;
  readonly parse: (text: string, context: ValueContext) => Parsed<T>;
  readonly fallback: (context: ValueContext) => T;
  readonly fallbackText: string;
}

export type KeyTable = { readonly [K in ConfigKey]: KeyDefinition<DaemonConfig[K]> };

export const KEYS: KeyTable = {
  state: {
    flag: 'state',
    env: 'WARREN_STATE',
    // The file lies in there.
    inFile: 'never',
    placeholder: 'DIR',
    help: 'where identity, peers and configuration are kept',
    expected: 'a directory',
    parse: parsePath,
    fallback: ({ home }) => join(home, '.warren'),
    fallbackText: '~/.warren',
  },
  socket: {
    flag: 'socket',
    env: 'WARREN_SOCKET',
    inFile: 'text',
    placeholder: 'DIR',
    help: 'where programs reach the daemon: the directory of app.sock and admin.sock',
    expected: 'a directory',
    parse: parseSocketDirectory,
    fallback: ({ home, runtimeDirectory }) => socketPaths({ XDG_RUNTIME_DIR: runtimeDirectory }, home).directory,
    fallbackText: '$XDG_RUNTIME_DIR/warren, else ~/.warren/run',
  },
  listen: {
    flag: 'listen',
    env: 'WARREN_LISTEN',
    inFile: 'text',
    placeholder: 'HOST:PORT',
    help: 'the UDP address for other nodes',
    expected: 'an IP address and a port, as [::]:4440 for every address or 192.0.2.1:0 for any free port',
    parse: parseListenAddress,
    fallback: () => undefined,
    fallbackText: `[::], on the port of the last time, else ${PORT_DEFAULT}, else the next free one`,
  },
  name: {
    flag: 'name',
    env: 'WARREN_NAME',
    inFile: 'text',
    placeholder: 'NAME',
    help: 'what this node calls itself',
    expected: 'at most 63 lower-case letters, digits and hyphens, or "" for none',
    parse: parseName,
    fallback: () => undefined,
    fallbackText: 'the name of the last time, else none',
  },
  passphraseFile: {
    flag: 'passphrase-file',
    env: 'WARREN_PASSPHRASE_FILE',
    inFile: 'text',
    placeholder: 'FILE',
    help: 'its first line seals the identity on disk',
    expected: 'a file',
    parse: parsePath,
    fallback: () => undefined,
    fallbackText: 'the identity is protected by the permissions of its file',
  },
  logLevel: {
    flag: 'log-level',
    env: 'WARREN_LOG_LEVEL',
    inFile: 'text',
    placeholder: 'LEVEL',
    help: 'the least important events to log',
    expected: 'error, warn, info or debug',
    parse: parseChoice<LogLevel>({ error: 'error', warn: 'warn', info: 'info', debug: 'debug' }),
    fallback: () => 'info',
    fallbackText: 'info',
  },
  logFormat: {
    flag: 'log-format',
    env: 'WARREN_LOG_FORMAT',
    inFile: 'text',
    placeholder: 'FORMAT',
    help: 'lines for people or for programs',
    expected: 'human, json or auto',
    parse: parseChoice<LogFormat>({ human: 'human', json: 'json', auto: 'auto' }),
    fallback: () => 'auto',
    fallbackText: 'auto: human on a terminal, else json',
  },
  logFile: {
    flag: 'log-file',
    env: 'WARREN_LOG_FILE',
    inFile: 'text',
    placeholder: 'FILE',
    help: 'where the log goes; moved aside to FILE.1 whenever it has 8 MiB',
    expected: 'a file',
    parse: parsePath,
    fallback: () => undefined,
    fallbackText: 'standard error; daemon.log in the state directory with --detach',
  },
  congestion: {
    flag: 'congestion',
    env: 'WARREN_CONGESTION',
    inFile: 'text',
    placeholder: 'NAME',
    help: 'how fast new tunnels send',
    expected: 'aimd, cubic or bbr',
    parse: parseChoice<ControllerName>({ aimd: 'AIMD', cubic: 'CUBIC', bbr: 'BBR' }),
    fallback: () => 'AIMD',
    fallbackText: 'aimd',
  },
  peerTimeout: {
    flag: 'peer-timeout',
    env: 'WARREN_PEER_TIMEOUT',
    inFile: 'text',
    placeholder: 'TIME',
    help: 'how long a peer may owe an answer before its streams end',
    expected: 'a time from 1s to 1h, as 500ms, 30s or 2m',
    parse: parsePeerTimeout,
    fallback: () => 30 * SECOND,
    fallbackText: '30s',
  },
  mtu: {
    flag: 'mtu',
    env: 'WARREN_MTU',
    inFile: 'number',
    placeholder: 'BYTES',
    help: 'the largest packet to try; what a path carries is found by search',
    expected: 'a number of bytes from 1200 to 65507',
    parse: parseMtu,
    fallback: () => DATAGRAM_BYTES_MAX,
    fallbackText: '65507',
  },
  offload: {
    flag: 'offload',
    env: 'WARREN_OFFLOAD',
    inFile: 'text',
    placeholder: 'WHEN',
    help: 'whether the kernel may cut and join packets, and OpenSSL be called directly',
    expected: 'auto or off',
    parse: parseChoice<boolean>({ auto: true, off: false }),
    fallback: () => true,
    fallbackText: 'auto: where the system can',
  },
};

const CONFIG_KEYS = Object.keys(KEYS) as ConfigKey[];

export const CONFIG_FILE = 'config.json';

export interface ConfigSources {
  /** By flag, without dashes, as yargs gives them; what was not given is `undefined`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** Where the command was given. */
  readonly workingDirectory: string;
}

/** A text that somebody gave for a key, and where. */
interface Given {
  readonly text: string;
  /** As the beginning of a message. */
  readonly place: string;
  readonly base: string;
}

export function loadConfig(sources: ConfigSources): DaemonConfig {
  const { home, workingDirectory } = sources;
  const { XDG_RUNTIME_DIR: runtimeDirectory } = sources.env;
  const context: ValueContext = { home, runtimeDirectory, base: workingDirectory };
  const given = new Map([...fromEnvironment(sources), ...fromFlags(sources)]);
  const state = resolveKey('state', given, context);
  // Only now is it known where the file is.
  const all = new Map([...fromFile(join(state, CONFIG_FILE)), ...given]);
  return Object.fromEntries(CONFIG_KEYS.map((key) => [key, resolveKey(key, all, context)])) as unknown as DaemonConfig;
}

function resolveKey<K extends ConfigKey>(
  key: K,
  given: ReadonlyMap<ConfigKey, Given>,
  context: ValueContext,
): DaemonConfig[K] {
  // Without the annotation the compiler does not see that the parts of one definition belong together.
  const definition: KeyDefinition<DaemonConfig[K]> = KEYS[key];
  const one = given.get(key);
  if (one === undefined) return definition.fallback(context);
  const parsed = definition.parse(one.text, { ...context, base: one.base });
  if (parsed === undefined) throw valueError(one.place, definition, quoteText(one.text));
  return parsed.value;
}

function* fromFlags({ flags, workingDirectory }: ConfigSources): Iterable<[ConfigKey, Given]> {
  for (const [flag, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    const place = `--${flag}`;
    const key = CONFIG_KEYS.find((candidate) => KEYS[candidate].flag === flag);
    if (key === undefined) throw unknownKey(quoteText(place), nearestOf(flag, 'flag', '--'));
    if (typeof value !== 'string') {
      throw valueError(place, KEYS[key], Array.isArray(value) ? `${value.length} values` : 'no text');
    }
    yield [key, { text: value, place, base: workingDirectory }];
  }
}

/**
 * Variables of our prefix are not all ours: for a service of that name Kubernetes sets `WARREN_SERVICE_HOST` in every container
 * beside it. What resembles one of ours is a slip, and refused; the rest is somebody else's.
 */
function* fromEnvironment({ env, workingDirectory }: ConfigSources): Iterable<[ConfigKey, Given]> {
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('WARREN_') || text === undefined || text === '') continue;
    const key = CONFIG_KEYS.find((candidate) => KEYS[candidate].env === name);
    if (key !== undefined) {
      yield [key, { text, place: name, base: workingDirectory }];
      continue;
    }
    const meant = nearestOf(name.slice('WARREN_'.length), 'env', '');
    if (meant !== undefined) throw unknownKey(`${quoteText(name)} in the environment`, meant);
  }
}

function* fromFile(path: string): Iterable<[ConfigKey, Given]> {
  const fileKeys = CONFIG_KEYS.filter((key) => KEYS[key].inFile !== 'never');
  for (const { key: name, value, keyAt, valueAt } of readConfigFile(path) ?? []) {
    const key = fileKeys.find((candidate) => candidate === name);
    if (key === undefined) {
      throw name === 'state'
        ? new WarrenError(
            'ERR_WARREN_CONFIG_KEY',
            `${placeIn(path, keyAt)}: "state" cannot be set in the file that lies in there`,
            'give it with --state or WARREN_STATE',
          )
        : unknownKey(`${placeIn(path, keyAt)}: ${quoteText(name)}`, nearest(name, fileKeys));
    }
    const place = `${placeIn(path, valueAt)}: ${key}`;
    if (typeof value !== 'string' && !(typeof value === 'number' && KEYS[key].inFile === 'number')) {
      throw valueError(place, KEYS[key], String(value));
    }
    yield [key, { text: String(value), place, base: dirname(path) }];
  }
}

function nearestOf(name: string, spelling: 'flag' | 'env', prefix: string): string | undefined {
  const withoutPrefix = CONFIG_KEYS.map((key) => KEYS[key][spelling].replace(/^WARREN_/, ''));
  const found = nearest(name, withoutPrefix);
  if (found === undefined) return undefined;
  return spelling === 'env' ? `WARREN_${found}` : prefix + found;
}

function unknownKey(what: string, meant: string | undefined): WarrenError {
  return new WarrenError(
    'ERR_WARREN_CONFIG_KEY',
    `${what} is not a setting of warren`,
    meant === undefined ? 'warren up --help lists the settings' : `did you mean ${meant}?`,
  );
}

function valueError(place: string, { expected }: Pick<KeyDefinition<never>, 'expected'>, found: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_CONFIG_VALUE',
    `${place}: expected ${expected}, found ${found}`,
    'warren up --help lists the settings',
  );
}

/** What a command line parser wants to know of one flag; yargs takes it as it is. */
export interface FlagOption {
  readonly type: 'string';
  readonly requiresArg: true;
  readonly describe: string;
  readonly defaultDescription: string;
}

/** The flags of those keys, by their name without dashes. No defaults: those are for `loadConfig` to find. */
export function flagOptions(keys: readonly ConfigKey[] = CONFIG_KEYS): Record<string, FlagOption> {
  return Object.fromEntries(
    keys.map((key) => {
      const { flag, placeholder, help, fallbackText, env } = KEYS[key];
      const describe = `${placeholder}: ${help} (${env})`;
      return [flag, { type: 'string', requiresArg: true, describe, defaultDescription: fallbackText }];
    }),
  );
}

/** The part of a parsed command line that is for `loadConfig`. */
export function flagsOf(parsed: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(CONFIG_KEYS.map((key) => [KEYS[key].flag, parsed[KEYS[key].flag]]));
}

/** The settings as a table in Markdown, for the documentation. */
export function describeKeys(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = CONFIG_KEYS.map((key) => {
    const { flag, env, inFile, placeholder, help, expected, fallbackText } = KEYS[key];
    const inFileText = inFile === 'never' ? '–' : `\`${key}\``;
    return [`\`--${flag} ${placeholder}\``, `\`${env}\``, inFileText, help, expected, fallbackText];
  });
  const header = ['flag', 'environment', CONFIG_FILE, 'meaning', 'value', 'default'];
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |\n`).join('');
}
