import { once } from 'node:events';
import { join } from 'node:path';
import type { StartReport } from '../../daemon/daemon.ts';
import { connect } from '../../sdk/connect.ts';
import type { WarrenNode } from '../../sdk/node.ts';
import type { WarrenStream } from '../../sdk/stream.ts';
import { formatBytes, formatMilliseconds } from '../format.ts';
import { type EchoFigures, measureEcho } from '../throughput.ts';
import { type TransferFigures, transferFile, writeRandomFile } from './file-transfer.ts';
import type { Stage } from './stage.ts';

/** What the demonstration shows, in the order of its steps. */
export interface DemoFigures {
  readonly nodes: readonly { readonly name: string; readonly address: string; readonly udp: string }[];
  readonly pingMs: number;
  readonly conversation: readonly string[];
  readonly file: TransferFigures;
  readonly echo: EchoFigures;
}

export interface Narrator {
  /** The heading of a step. */
  step(text: string): void;
  /** What came of it. */
  tell(text: string): void;
  /** Of something long; `undefined` at its end. */
  progress(label: string, total: number): (done: number | undefined) => void;
}

const TALK_PORT = 1000;
const FILE_PORT = 1001;
const PING_MS = 5_000;

/** The whole play. Every line of it is what a program would do with two daemons on two machines. */
export async function play(stage: Stage, bytes: number, narrator: Narrator): Promise<DemoFigures> {
  const nodes: WarrenNode[] = [];
  try {
    narrator.step('Two nodes start, each a daemon with a key, a state directory and a UDP port of its own.');
    const reports = await Promise.all(['alice', 'bob'].map((name) => stage.startDaemon(name)));
    for (const { name, address, listen } of reports) narrator.tell(`${name.padEnd(5)}  ${address}  ${listen}`);
    for (const { socket } of reports) nodes.push(await connect({ socket, admin: true }));
    const [alice, bob] = nodes as [WarrenNode, WarrenNode];
    const [aliceReport, bobReport] = reports as [StartReport, StartReport];

    narrator.step('They exchange records, for a node does not answer strangers (warren record, warren peer add).');
    await bob.addPeer({ record: await alice.record(), endpoints: [aliceReport.listen] });
    await alice.addPeer({ record: await bob.record(), endpoints: [bobReport.listen] });
    const { roundTrip, route } = await alice.ping('bob', { timeout: PING_MS });
    narrator.tell(`alice pings bob: ${formatMilliseconds(roundTrip)} by ${route}, encrypted`);

    narrator.step(`bob listens on port ${TALK_PORT}, and alice dials bob:${TALK_PORT} (warren listen, warren dial).`);
    const conversation = await talk(alice, bob);
    narrator.tell(`alice says "${conversation[0]}", bob answers "${conversation[1]}"`);

    narrator.step(`alice sends bob a file of ${formatBytes(bytes)}.`);
    const [sent, received] = [join(stage.directory, 'sent'), join(stage.directory, 'received')];
    await writeRandomFile(sent, bytes);
    const onFile = narrator.progress('file', bytes);
    const transfer = { from: alice, to: bob, sent, received, port: FILE_PORT, bytes, progress: onFile };
    const file = await transferFile(transfer).finally(() => onFile(undefined));
    narrator.tell(`${file.seconds.toFixed(2)} s, ${file.megabytesPerSecond} MB/s`);
    narrator.tell(`SHA-256 on both sides: ${file.sha256}`);

    narrator.step(`alice sends ${formatBytes(bytes)} through the echo service of bob (warren bench bob).`);
    const onEcho = narrator.progress('echo', bytes);
    const plan = { peer: 'bob', size: bytes, streams: 1, progress: onEcho };
    const echo = await measureEcho(alice, plan).finally(() => onEcho(undefined));
    narrator.tell(`${echo.seconds.toFixed(2)} s, ${echo.megabytesPerSecond} MB/s each way; every byte came back right`);

    return {
      nodes: reports.map(({ name, address, listen }) => ({ name, address, udp: listen })),
      pingMs: roundTrip / 1_000,
      conversation,
      file,
      echo,
    };
  } finally {
    await Promise.all(nodes.map((node) => node.close()));
  }
}

async function talk(alice: WarrenNode, bob: WarrenNode): Promise<[string, string]> {
  const server = await bob.listen(TALK_PORT, { allowHalfOpen: true });
  try {
    const incoming = once(server, 'connection') as Promise<[WarrenStream]>;
    const near = await alice.dial('bob', TALK_PORT, { allowHalfOpen: true });
    const [far] = await incoming;
    // What breaks while nobody reads is found by whoever reads next.
    for (const end of [near, far]) end.on('error', () => undefined);
    near.end('hello bob');
    const heard = await textOf(far);
    far.end(heard === 'hello bob' ? 'hello alice' : 'who is there?');
    return [heard, await textOf(near)];
  } finally {
    await server.close();
  }
}

async function textOf(stream: WarrenStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
