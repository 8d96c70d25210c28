import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Carrier } from '../carriers/carrier.ts';
import { type AppOptions, type AppReply, type AppRequest, type CarrierOptions, WORK_BYTES } from './app-protocol.ts';
import { AppStreams, ping } from './app-streams.ts';
import { Unavailable } from './unavailable.ts';

/** An application of a benchmark, as a process of its own. */

const { side, carrier: carrierOptions } = JSON.parse(process.argv[2] ?? '{}') as AppOptions;
const streams = new AppStreams();
const carrier = await openCarrier(carrierOptions).catch(refuse);
if (side === 'far') await carrier.listen((stream) => streams.take(stream));

/** Each is loaded only where it is used: the others' code is no part of this application. */
async function openCarrier(options: CarrierOptions): Promise<Carrier> {
  switch (options.kind) {
    case 'daemon':
      return (await import('../carriers/daemon.ts')).daemonCarrier(options);
    case 'embedded':
      return (await import('../carriers/embedded.ts')).embeddedCarrier(options);
    case 'unix':
      return (await import('../carriers/unix.ts')).unixCarrier(options);
    case 'udx':
      return (await import('../carriers/udx.ts')).udxCarrier(options);
    case 'hyperdht':
      return (await import('../carriers/hyperdht.ts')).hyperdhtCarrier(options);
  }
}

async function answer(request: AppRequest): Promise<AppReply> {
  switch (request.kind) {
    case 'meet':
      await carrier.meet(request.contact);
      return { kind: 'met' };
    case 'open':
      for (const stream of await dialAll(request.streams)) streams.begin(stream, request.work);
      return { kind: 'opened' };
    case 'close':
      await streams.close();
      return { kind: 'closed' };
    case 'count':
      return { kind: 'count', at: performance.now(), received: streams.received, broken: streams.broken };
    case 'ping':
      return { kind: 'pinged', ...(await ping(await echoStream(), request.milliseconds)) };
    case 'churn':
      return churn(request);
    case 'dial':
      return { kind: 'dialled', times: await dialTimes(request.times, request.millisecondsMax) };
    case 'transfer': {
      const stream = await carrier.dial();
      const start = performance.now();
      const error = await streams.transfer(stream, request.bytes);
      return { kind: 'transferred', seconds: (performance.now() - start) / 1_000, error };
    }
    case 'mtu':
      return { kind: 'mtu', bytes: await carrier.mtu() };
  }
}

const DIALS_AT_ONCE = 32;

/** Before the first of them begins: its bulk would be in the way of the others' dials. */
async function dialAll(count: number): Promise<readonly Duplex[]> {
  const dialled: Duplex[] = [];
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      dialled.push(await carrier.dial());
    }
  };
  await Promise.all(Array.from({ length: Math.min(DIALS_AT_ONCE, count) }, worker));
  return dialled;
}

let kept: Duplex | undefined;

/** One for all messages, however often it is asked. */
async function echoStream(): Promise<Duplex> {
  if (kept === undefined) {
    kept = await carrier.dial();
    kept.on('error', () => undefined);
    kept.write(Buffer.from(WORK_BYTES.echo));
  }
  return kept;
}

async function churn({ streams: count, atOnce, millisecondsMax }: AppRequest & { kind: 'churn' }): Promise<AppReply> {
  const start = performance.now();
  let begun = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (begun < count && performance.now() - start < millisecondsMax) {
      begun += 1;
      await openAndClose();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  return { kind: 'churned', streams: done, seconds: (performance.now() - start) / 1_000 };
}

/** In order: both sides end it, and both hear of the other's end. */
async function openAndClose(): Promise<void> {
  const stream = await carrier.dial();
  stream.resume();
  stream.end(WORK_BYTES.close);
  await once(stream, 'close');
}

async function dialTimes(count: number, millisecondsMax: number): Promise<readonly number[]> {
  const times: number[] = [];
  const end = performance.now() + millisecondsMax;
  for (let i = 0; i < count && (i === 0 || performance.now() < end); i++) {
    const start = performance.now();
    const stream = await carrier.dial();
    times.push(performance.now() - start);
    stream.resume();
    stream.end(WORK_BYTES.close);
    await once(stream, 'close');
  }
  return times;
}

/** What is not there is for whoever measures to leave out. */
function refuse(error: unknown): never {
  if (!(error instanceof Unavailable)) throw error;
  reply({ kind: 'failed', message: error.message, isUnavailable: true });
  process.exit();
}

function reply(message: AppReply): void {
  process.send?.(message);
}

process.on('message', (request: AppRequest | { readonly probe: string }) => {
  if ('probe' in request) return;
  answer(request).then(reply, (error: unknown) => {
    reply({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  });
});
reply({ kind: 'ready', contact: carrier.contact });
