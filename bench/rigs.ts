import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { PathOptions } from './carriers/embedded.ts';
import type { Child } from './child.ts';
import { AppProcess } from './rig/app-process.ts';
import type { CarrierOptions } from './rig/app-protocol.ts';
import { DaemonProcess, type DaemonSettings } from './rig/daemon-process.ts';
import type { DelayOptions, DelayReply } from './rig/delay-proxy.ts';
import type { BootstrapOptions, BootstrapReply } from './rig/dht-bootstrap.ts';
import type { RelayOptions, RelayReply } from './rig/relay-hop.ts';
import type { HopOptions, HopReply, HopRequest } from './rig/roofline-hop.ts';
import type { TlsHopOptions, TlsHopReply } from './rig/tls-hop.ts';
import type { Workshop } from './rig/workshop.ts';
import type { Rival } from './rivals.ts';

/** Two applications and what lies between them. Everything belongs to the workshop it was built in. */
export interface Rig {
  readonly near: AppProcess;
  readonly far: AppProcess;
}

export interface DaemonRig extends Rig {
  readonly daemons: readonly [near: DaemonProcess, far: DaemonProcess];
}

const NEAR = 'near';
const FAR = 'far';
const KEY_BYTES = 32;

/** app → Unix socket → daemon → UDP → daemon → Unix socket → app. `delayMs` is one way, put between the daemons. */
export async function daemonRig(workshop: Workshop, settings: DaemonSettings, delayMs = 0): Promise<DaemonRig> {
  const [near, far] = await Promise.all([
    DaemonProcess.start(workshop, NEAR, settings, { part: 1, of: 4 }),
    DaemonProcess.start(workshop, FAR, settings, { part: 2, of: 4 }),
  ]);
  await introduce(workshop, near, far, delayMs);
  const carriers = [near, far].map(({ socket }, i): CarrierOptions => {
    return { kind: 'daemon', socket, peer: i === 0 ? FAR : NEAR };
  });
  return { ...(await apps(workshop, carriers, 4)), daemons: [near, far] };
}

/** Both have the other in their books; the far one is found by way of a delay where there is one. */
async function introduce(workshop: Workshop, near: DaemonProcess, far: DaemonProcess, delayMs: number): Promise<void> {
  const { udp } = await far.node.status();
  const port = delayMs === 0 ? udp.port : await delayTo(workshop, udp.port, delayMs);
  await near.node.addPeer(await far.entry(port));
  // Who is asked learns where the other one is.
  await far.node.addPeer({ record: await near.node.record() });
}

/** Where a way of so many milliseconds to that port begins. */
export async function delayTo(workshop: Workshop, to: number, milliseconds: number): Promise<number> {
  const options: DelayOptions = { to, milliseconds };
  const proxy = workshop.start<never, DelayReply>('rig/delay-proxy.js', [JSON.stringify(options)], {});
  return (await proxy.next('ready')).port;
}

/** app and node in one process → UDP → the same. */
export async function embeddedRig(workshop: Workshop, path: PathOptions): Promise<Rig> {
  const carriers = [NEAR, FAR].map((name, i): CarrierOptions => {
    return { kind: 'embedded', name, peer: i === 0 ? FAR : NEAR, path };
  });
  return apps(workshop, carriers, 2);
}

export interface RooflineSettings {
  readonly datagramBytes: number;
  readonly isFast: boolean;
}

/** app → Unix socket → hop → UDP → hop → Unix socket → app. */
export async function rooflineRig(workshop: Workshop, settings: RooflineSettings): Promise<Rig> {
  const { carriers, paths } = unixCarriers(workshop, false);
  const ends = apps(workshop, carriers, 4);
  const key = randomBytes(KEY_BYTES).toString('hex');
  const hops: Child<HopRequest, HopReply>[] = [];
  for (const side of [NEAR, FAR] as const) {
    const options: HopOptions = { ...settings, side, key, path: side === NEAR ? paths[0]! : paths[1]! };
    const place = { part: side === NEAR ? 1 : 2, of: 4 };
    hops.push(workshop.start('rig/roofline-hop.js', [JSON.stringify(options)], { place }));
  }
  const ports = await Promise.all(hops.map((hop) => hop.next('ready')));
  await Promise.all(hops.map((hop, i) => hop.ask({ kind: 'connect', port: ports[1 - i]!.port }, 'connected')));
  return ends;
}

/** app → Unix socket → hop → TLS over TCP → hop → Unix socket → app. */
export async function tlsRig(workshop: Workshop): Promise<Rig> {
  const { carriers, paths } = unixCarriers(workshop, false);
  const ends = apps(workshop, carriers, 4);
  const key = randomBytes(KEY_BYTES).toString('hex');
  let port = 0;
  for (const side of [FAR, NEAR] as const) {
    const options: TlsHopOptions = { side, key, port, path: side === NEAR ? paths[0]! : paths[1]! };
    const place = { part: side === NEAR ? 1 : 2, of: 4 };
    const hop = workshop.start<never, TlsHopReply>('rig/tls-hop.js', [JSON.stringify(options)], { place });
    ({ port } = await hop.next('ready'));
  }
  return ends;
}

/** app → Unix socket → process → Unix socket → app: what a dial through two daemons cannot do without. */
export async function relayRig(workshop: Workshop): Promise<Rig> {
  const { carriers, paths } = unixCarriers(workshop, true);
  const ends = apps(workshop, carriers, 4);
  const options: RelayOptions = { path: paths[0]!, to: paths[1]! };
  const relay = workshop.start<never, RelayReply>('rig/relay-hop.js', [JSON.stringify(options)], {
    place: { part: 1, of: 4 },
  });
  await relay.next('ready');
  return ends;
}

/** app with udx in it → UDP → the same. */
export async function udxRig(workshop: Workshop, { from }: Rival): Promise<Rig> {
  return apps(
    workshop,
    [
      { kind: 'udx', from },
      { kind: 'udx', from },
    ],
    2,
  );
}

/** app with hyperdht in it → UDP → the same. */
export async function hyperdhtRig(workshop: Workshop, { from }: Rival): Promise<Rig> {
  const options: BootstrapOptions = { from, port: await freeUdpPort() };
  const bootstrap = workshop.start<never, BootstrapReply>('rig/dht-bootstrap.js', [JSON.stringify(options)], {});
  await bootstrap.next('ready');
  const carrier: CarrierOptions = { kind: 'hyperdht', from, bootstrapPort: options.port };
  return apps(workshop, [carrier, carrier], 2);
}

/** The two ends of a pipeline of so many processes, introduced to each other. */
async function apps(workshop: Workshop, carriers: readonly CarrierOptions[], of: number): Promise<Rig> {
  const [near, far] = await Promise.all([
    AppProcess.start(workshop, { side: NEAR, carrier: carriers[0]! }, { part: 0, of }),
    AppProcess.start(workshop, { side: FAR, carrier: carriers[1]! }, { part: of - 1, of }),
  ]);
  await Promise.all([near.meet(far.contact), far.meet(near.contact)]);
  return { near, far };
}

function unixCarriers(workshop: Workshop, greets: boolean): { carriers: CarrierOptions[]; paths: string[] } {
  const paths = [workshop.path('near.sock'), workshop.path('far.sock')];
  return { paths, carriers: paths.map((path) => ({ kind: 'unix', path, greets })) };
}

/** For a program that has to be told a port: one that was free a moment ago. */
async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
