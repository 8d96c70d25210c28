import { createInterface } from 'node:readline';
import { connect, type NewPeer, type WarrenNode } from '../../sdk/index.ts';
import type { PathOptions } from '../carriers/embedded.ts';
import type { Child } from '../child.ts';
import type { Place } from './cores.ts';
import type { Usage } from './probe.ts';
import { Unavailable } from './unavailable.ts';
import type { Workshop } from './workshop.ts';

export interface DaemonSettings extends PathOptions {
  readonly congestion?: string | undefined;
}

/** A daemon, started by the command line that everybody starts one by, and its owner's connection to it. */
export class DaemonProcess {
  readonly #child: Child<object, { readonly kind: string }>;
  /** With everything that its owner may do. */
  readonly node: WarrenNode;
  /** The directory of its sockets. */
  readonly socket: string;

  private constructor(child: Child<object, { readonly kind: string }>, node: WarrenNode, socket: string) {
    this.#child = child;
    this.node = node;
    this.socket = socket;
  }

  /** Rejects with `Unavailable` where the daemon refuses a setting. */
  static async start(workshop: Workshop, name: string, settings: DaemonSettings, place: Place): Promise<DaemonProcess> {
    const { mtu, offload, congestion } = settings;
    const flags = {
      name,
      state: workshop.path(name),
      socket: workshop.path(`${name}-run`),
      listen: '127.0.0.1:0',
      'log-level': 'error',
      ...(mtu === undefined ? {} : { mtu: String(mtu) }),
      ...(offload === false ? { offload: 'off' } : {}),
      ...(congestion === undefined ? {} : { congestion }),
    };
    const words = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
    const child = workshop.start<object, { readonly kind: string }>('../cli/main.js', ['up', '--json', ...words], {
      place,
      speaks: true,
    });
    const { socket } = await startReport(child);
    const node = await connect({ socket, admin: true });
    workshop.onClose(() => node.close());
    return new DaemonProcess(child, node, socket);
  }

  /** For another node to add this one. `port` where it is reached by way of somebody else. */
  async entry(port?: number): Promise<NewPeer> {
    const { udp } = await this.node.status();
    return { record: await this.node.record(), endpoints: [`127.0.0.1:${port ?? udp.port}`] };
  }

  usage(collects?: boolean): Promise<Usage> {
    return this.#child.usage(collects);
  }
}

interface StartLine {
  readonly ok: boolean;
  readonly data?: { readonly socket: string };
  readonly error?: { readonly code: string; readonly message: string };
}

/** The one line that `up --json` says on standard output. */
async function startReport(child: Child<object, { readonly kind: string }>): Promise<{ readonly socket: string }> {
  const silent: StartLine = { ok: false };
  const lines = createInterface({ input: child.output });
  const said = new Promise<StartLine>((resolve) => {
    lines.once('line', (line) => resolve(JSON.parse(line)));
    lines.once('close', () => resolve(silent));
  });
  const { data, error } = await said;
  // Nothing else is said there, and nobody waits for its end.
  child.output.resume();
  if (data !== undefined) return data;
  if (error !== undefined) throw new Unavailable(error.message);
  throw new Error('a daemon of the benchmark ended before it was ready');
}
