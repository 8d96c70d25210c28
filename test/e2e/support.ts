import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { StartReport } from '../../daemon/daemon.ts';
import type { NodeStatus, PeerName } from '../../ipc/host.ts';
import { connect, createNode, type WarrenNode } from '../../sdk/index.ts';

/**
 * Daemons as `warren up` starts them and programs that use the built SDK, each a process of its own. Every process is the leader of
 * its own group and is ended by that group's id, whatever becomes of the test.
 */

const MAIN: string = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const PROGRAM: string = fileURLToPath(new URL('program.mjs', import.meta.url));

export const isBuilt: boolean = existsSync(MAIN) && existsSync(new URL('../../dist/sdk/index.js', import.meta.url));
const { E2E_LONG } = process.env;
/** `npm run e2e` sets it: what is too long for `npm test`. */
export const isLong: boolean = E2E_LONG === '1';

/** How long anything may take that has no bound of its own; a machine with other things to do is slow. */
const PATIENCE_MS = 60_000;

/** Whom a process runs as; whoever runs the tests where it is left out. */
export interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/** Two ordinary users, whom only root can be in turn. They need no account: to the kernel they are numbers. */
export const ONE_USER: User = { uid: 64_001, gid: 64_001 };
export const OTHER_USER: User = { uid: 64_002, gid: 64_002 };
const isRoot = process.geteuid?.() === 0;

/** Whether there is such a user for us, and can run the program from where it lies. */
function isUsable(user: User): boolean {
  return spawnSync(process.execPath, [MAIN, '--version'], { ...user, cwd: '/', env: {} }).status === 0;
}

/** Somebody to whom permissions mean something; `undefined` where there is nobody. */
export function ordinaryUser(): User | undefined {
  if (!isRoot) return {};
  return isUsable(ONE_USER) ? ONE_USER : undefined;
}

/** Whether the tests can be two users. */
export function canBeTwoUsers(): boolean {
  return isRoot && isUsable(ONE_USER);
}

export interface DaemonOptions {
  /** Where it listens: one of any kind of address, and a port. */
  readonly listen?: string;
  readonly peerTimeout?: string;
  readonly as?: User;
  /** Its directories, where it is not to have those that go by its name. */
  readonly state?: string;
  readonly socket?: string;
  /** What runs it: a program and its arguments, to which the daemon's command line is added. */
  readonly under?: readonly string[];
}

/** A place for one test: its directory, its daemons and its programs, all of which go with it. */
export class World {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'warren-e2e-'));
  readonly #groups: Group[] = [];
  readonly #sockets: Socket[] = [];
  readonly #nodes: WarrenNode[] = [];

  constructor() {
    directories.add(this.directory);
  }

  path(...parts: readonly string[]): string {
    return join(this.directory, ...parts);
  }

  /** A daemon that has not been waited for. */
  spawnDaemon(name: string, options: DaemonOptions = {}): Starting {
    const state = options.state ?? this.path(name);
    const socket = options.socket ?? this.path(name, 'run');
    const flags = { name, state, socket, listen: options.listen ?? '127.0.0.1:0', 'peer-timeout': options.peerTimeout };
    const words = Object.entries(flags).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`, value]));
    const command = [...(options.under ?? []), process.execPath, MAIN, 'up', '--json', ...words];
    const child = spawn(command[0]!, command.slice(1), {
      cwd: '/',
      detached: true,
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options.as,
    });
    return new Starting(this.#keep(new Group(child)));
  }

  async daemon(name: string, options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = new Daemon(this, name, options);
    await daemon.start();
    return daemon;
  }

  /** Two daemons that know each other. */
  async pair(options: DaemonOptions = {}): Promise<[Daemon, Daemon]> {
    const pair = await Promise.all([this.daemon('alice', options), this.daemon('bob', options)]);
    const [alice, bob] = pair;
    await introduce(alice, bob);
    await introduce(bob, alice);
    return pair;
  }

  /** A program that is connected to a daemon, as the same user. */
  async program(daemon: Daemon): Promise<Program> {
    const child = fork(PROGRAM, [], { cwd: '/', detached: true, env: this.#environment(), execArgv: [] });
    const program = new Program(this.#keep(new Group(child)));
    await program.connect(daemon);
    return program;
  }

  /** A command of `warren`, with what it says as JSON. */
  command(words: readonly string[], as: User = {}): Said {
    return JSON.parse(this.node([MAIN, ...words, '--json'], as).stdout);
  }

  /** A short program. */
  node(args: readonly string[], as: User = {}): { readonly status: number | null; readonly stdout: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      ...as,
      cwd: '/',
      env: this.#environment(),
      encoding: 'utf8',
      timeout: PATIENCE_MS,
    });
    if (stdout === '') throw new Error(`it said nothing, but: ${stderr}`);
    return { status, stdout };
  }

  /** A directory for somebody. */
  home(name: string, { uid = process.getuid!(), gid = process.getgid!() }: User = {}, mode = 0o700): string {
    // On the way to it everybody may pass.
    chmodSync(this.directory, 0o711);
    const path = this.path(name);
    mkdirSync(path);
    chownSync(path, uid, gid);
    chmodSync(path, mode);
    return path;
  }

  /** Somebody whom a daemon knows and who never answers. */
  async ghost(...daemons: readonly Daemon[]): Promise<string> {
    const socket = createSocket('udp4');
    this.#sockets.push(socket);
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const node = await createNode({ name: 'ghost', listen: '127.0.0.1:0' });
    const record = await node.record();
    await node.close();
    for (const { admin } of daemons) {
      await admin.addPeer({ record, endpoints: [`127.0.0.1:${socket.address().port}`] });
    }
    return 'ghost';
  }

  /** To be closed with this world. */
  keepNode(node: WarrenNode): WarrenNode {
    this.#nodes.push(node);
    return node;
  }

  async clear(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()));
    for (const socket of this.#sockets) socket.close();
    await Promise.all(this.#groups.map((group) => group.end()));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
    directories.delete(this.directory);
  }

  /** Nothing of the tester's own settings. */
  #environment(): NodeJS.ProcessEnv {
    const { PATH } = process.env;
    return { PATH, HOME: this.path('home') };
  }

  #keep(group: Group): Group {
    this.#groups.push(group);
    return group;
  }
}

async function introduce(to: Daemon, whom: Daemon): Promise<void> {
  await to.admin.addPeer({ record: await whom.admin.record(), endpoints: [whom.report.listen] });
}

export interface Exit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  /** On the wall, in milliseconds. */
  readonly at: number;
}

/** Those that run, for the case that this process ends before its tests do: they are in groups of their own, and would not. */
const running: Set<number> = new Set();
const directories: Set<string> = new Set();
process.on('exit', () => {
  for (const pid of running) killGroup(pid, 'SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});
for (const end of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect']) process.once(end, () => process.exit(1));

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** One process that leads its own group. */
class Group {
  readonly child: ChildProcess;
  readonly exit: Promise<Exit>;
  #hasExited = false;

  constructor(child: ChildProcess) {
    this.child = child;
    const { pid } = child;
    if (pid !== undefined) running.add(pid);
    this.exit = new Promise((resolve) => {
      const exited = (status: number | null, signal: NodeJS.Signals | null): void => {
        this.#hasExited = true;
        if (pid !== undefined) running.delete(pid);
        resolve({ status, signal, at: Date.now() });
      };
      child.once('exit', exited);
      // It was never there.
      child.once('error', () => exited(null, null));
    });
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#hasExited) killGroup(this.child.pid!, signal);
  }

  async kill(): Promise<Exit> {
    this.signal('SIGKILL');
    return await this.exit;
  }

  /** In order where that works. */
  async end(): Promise<void> {
    this.signal('SIGTERM');
    const patience = new AbortController();
    const late = sleep(8_000, undefined, { signal: patience.signal }).then(
      () => this.signal('SIGKILL'),
      () => undefined,
    );
    await this.exit;
    patience.abort();
    await late;
  }
}

/** What a command says when it cannot go on. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** The one line of JSON that a command says. */
// biome-ignore lint/suspicious/noExplicitAny: it is compared, not used
export type Said = { readonly ok: boolean; readonly data?: any; readonly error?: Failure };

/** A daemon that has yet to say whether it has started. */
export class Starting {
  readonly group: Group;
  #stdout = '';
  #stderr = '';
  readonly #closed: Promise<unknown>;

  constructor(group: Group) {
    this.group = group;
    const { child } = group;
    child.stdout!.on('data', (chunk: Buffer) => {
      this.#stdout += chunk;
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    this.#closed = new Promise((resolve) => child.once('close', resolve).once('error', resolve));
  }

  get log(): string {
    return this.#stderr;
  }

  async started(): Promise<StartReport> {
    const said = await this.#said();
    if (!said.ok) throw new Error(`not started: ${JSON.stringify(said.error)} ${this.#stderr}`);
    return said.data;
  }

  /** What it says in place of starting, with its exit status. */
  async failed(): Promise<Failure & { readonly status: number | null }> {
    const said = await this.#said();
    if (said.ok) throw new Error('it has started');
    const { status } = await this.group.exit;
    return { ...said.error, status };
  }

  async #said(): Promise<{ ok: true; data: StartReport } | { ok: false; error: Failure }> {
    while (!this.#stdout.includes('\n')) {
      const more = once(this.group.child.stdout!, 'data').then(() => true);
      if ((await Promise.race([more, this.#closed.then(() => false)])) || this.#stdout.includes('\n')) continue;
      throw new Error(`it said nothing on standard output, but: ${this.#stderr}`);
    }
    return JSON.parse(this.#stdout.slice(0, this.#stdout.indexOf('\n')));
  }
}

export class Daemon {
  readonly name: string;
  readonly #world: World;
  readonly #options: DaemonOptions;
  #starting!: Starting;
  #report!: StartReport;
  #admin: WarrenNode | undefined;

  constructor(world: World, name: string, options: DaemonOptions) {
    this.#world = world;
    this.name = name;
    this.#options = options;
  }

  get report(): StartReport {
    return this.#report;
  }

  /** Its owner, at the admin socket. */
  get admin(): WarrenNode {
    return this.#admin!;
  }

  get log(): string {
    return this.#starting.log;
  }

  get exit(): Promise<Exit> {
    return this.#starting.group.exit;
  }

  get pid(): number {
    return this.#report.pid;
  }

  /** Again where it was, after the first time. Gives the moment at which it said that it had started. */
  async start(): Promise<number> {
    const listen = this.#report?.listen ?? this.#options.listen;
    this.#starting = this.#world.spawnDaemon(this.name, {
      ...this.#options,
      ...(listen === undefined ? {} : { listen }),
    });
    this.#report = await this.#starting.started();
    const startedAt = Date.now();
    if (this.#options.as === undefined) {
      this.#admin = this.#world.keepNode(await connect({ socket: this.#report.socket, admin: true }));
    }
    return startedAt;
  }

  signal(signal: NodeJS.Signals): void {
    this.#starting.group.signal(signal);
  }

  kill(): Promise<Exit> {
    return this.#starting.group.kill();
  }

  status(): Promise<NodeStatus> {
    return this.admin.status();
  }

  /** What it has open, files and sockets; only Linux tells how many. */
  get descriptors(): number {
    return process.platform === 'linux' ? readdirSync(`/proc/${this.pid}/fd`).length : 0;
  }

  get files(): readonly string[] {
    return readdirSync(this.#report.state)
      .filter((name) => name !== 'run')
      .sort();
  }

  get socketFiles(): readonly string[] {
    return readdirSync(this.#report.socket).sort();
  }
}

/** How a stream ended for the program that had it. */
export interface Outcome {
  /** It read an end, so to its program everything was there. */
  readonly hasEnded: boolean;
  readonly code?: string;
  readonly streamCode?: number;
  readonly at: number;
}

type Way = 'keep' | 'echo' | 'drain' | 'pour' | 'both';
type OfStream = { readonly stream: number };
type Hashed = { readonly bytes: number; readonly sha256: string };
export type Failed = { readonly code: string; readonly at: number };

/** What a program can be told, with what, and what it answers: the verbs of `program.mjs`. */
interface Verbs {
  connect: [{ socket: string }, { address: string; name: string }];
  lost: [unknown, { code?: string; at: number }];
  close: [unknown, unknown];
  status: [unknown, NodeStatus];
  listen: [{ port?: number; how?: Way | 'nothing'; backlog?: number }, { port: number }];
  unlisten: [{ port: number }, unknown];
  taken: [{ port: number }, OfStream];
  dial: [
    { peer: string; port: number; how?: Way; name?: string; timeout?: number; peerTimeout?: number },
    OfStream & { peer: PeerName; remotePort: number },
  ];
  abort: [{ name: string }, unknown];
  write: [OfStream & { text: string }, unknown];
  end: [OfStream & { text?: string }, unknown];
  destroy: [OfStream, unknown];
  giveUp: [OfStream & { code: number }, unknown];
  read: [OfStream & { length?: number }, { text: string }];
  send: [OfStream & { bytes: number; seed: string; end?: boolean }, Hashed];
  receive: [OfStream, Hashed];
  go: [OfStream & { how: Way }, unknown];
  moved: [OfStream, { read: number; bytesRead: number; bytesWritten: number }];
  outcome: [OfStream, Outcome];
  dialMany: [{ peer: string; port: number; count: number }, unknown];
  echoInMany: [{ bytes: number; seed: string }, { right: number }];
  bind: [{ port?: number }, { port: number }];
  sendDatagram: [{ from: number; peer: string; port: number; text: string }, unknown];
  datagrams: [{ port: number; count: number }, { all: { peer: string; from: number; text: string }[] }];
  waitForMany: [{ peer: string; port: number }, unknown];
  failures: [unknown, Record<string, Failed>];
  callAll: [{ peer: string; port: number }, Record<string, Failed>];
}

/** Nothing need be said to a verb that asks for nothing. */
type Arguments<K extends keyof Verbs> = unknown extends Verbs[K][0] ? [] : [Verbs[K][0]];

/** What went wrong in a program, as it was told there. */
export class ProgramError extends Error {
  readonly code: string | undefined;
  readonly hint: string | undefined;

  constructor({ code, message, hint, stack }: { code?: string; message: string; hint?: string; stack?: string }) {
    super(message);
    this.name = 'ProgramError';
    this.code = code;
    this.hint = hint;
    if (stack !== undefined) this.stack = stack;
  }
}

export class Program {
  readonly #group: Group;
  readonly #waiting: Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }> = new Map();
  #lastId = 0;

  constructor(group: Group) {
    this.#group = group;
    group.child.on('message', ({ id, value, error }: { id: number; value: never; error: never }) => {
      const waiting = this.#waiting.get(id)!;
      this.#waiting.delete(id);
      if (error === undefined) waiting.resolve(value);
      else waiting.reject(new ProgramError(error));
    });
    void group.exit.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the program has ended'));
      this.#waiting.clear();
    });
  }

  async connect(daemon: Daemon): Promise<void> {
    await this.do('connect', { socket: daemon.report.socket });
  }

  do<K extends keyof Verbs>(verb: K, ...[args = {}]: Arguments<K>): Promise<Verbs[K][1]> {
    const id = ++this.#lastId;
    const reply = new Promise<Verbs[K][1]>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#group.child.send({ id, verb, args });
    });
    // Some are asked before and looked at after others.
    reply.catch(() => undefined);
    return reply;
  }

  kill(): Promise<Exit> {
    return this.#group.kill();
  }

  get exit(): Promise<Exit> {
    return this.#group.exit;
  }
}

/** A stream between two programs, one of which has dialled and the other taken it. */
export interface Joined {
  readonly near: number;
  readonly far: number;
}

export async function joinPrograms(dialler: Program, listener: Program, peer: string, port: number): Promise<Joined> {
  const [{ stream: near }, { stream: far }] = await Promise.all([
    dialler.do('dial', { peer, port }),
    listener.do('taken', { port }),
  ]);
  return { near, far };
}

export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs: number = PATIENCE_MS,
): Promise<void> {
  for (const start = performance.now(); !(await isSo()); ) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
}

/** The echo service's, which every daemon has. */
export const ECHO_PORT = 7;

/** Until no daemon has a stream any more. */
export async function untilNoStreams(...daemons: readonly Daemon[]): Promise<void> {
  for (const daemon of daemons) {
    await until(`${daemon.name} has no stream left`, async () => (await daemon.status()).streams === 0);
  }
}
