import type { Child } from '../child.ts';
import type { AppOptions, AppReply, AppRequest, Contact, Work } from './app-protocol.ts';
import type { Place } from './cores.ts';
import type { Usage } from './probe.ts';
import type { Quantiles } from './quantiles.ts';
import type { Workshop } from './workshop.ts';

export type Count = Extract<AppReply, { kind: 'count' }>;
export type Transferred = Extract<AppReply, { kind: 'transferred' }>;
export type Churned = Extract<AppReply, { kind: 'churned' }>;

/** An application of a benchmark, as whoever measures sees it. */
export class AppProcess {
  readonly #child: Child<AppRequest, AppReply>;
  readonly contact: Contact;

  private constructor(child: Child<AppRequest, AppReply>, contact: Contact) {
    this.#child = child;
    this.contact = contact;
  }

  static async start(workshop: Workshop, options: AppOptions, place: Place): Promise<AppProcess> {
    const child = workshop.start<AppRequest, AppReply>('rig/app.js', [JSON.stringify(options)], { place });
    const { contact } = await child.next('ready');
    return new AppProcess(child, contact);
  }

  async meet(contact: Contact): Promise<void> {
    await this.#child.ask({ kind: 'meet', contact }, 'met');
  }

  async open(work: Work, streams = 1): Promise<void> {
    await this.#child.ask({ kind: 'open', work, streams }, 'opened');
  }

  async close(): Promise<void> {
    await this.#child.ask({ kind: 'close' }, 'closed');
  }

  count(): Promise<Count> {
    return this.#child.ask({ kind: 'count' }, 'count');
  }

  ping(milliseconds: number): Promise<Quantiles> {
    return this.#child.ask({ kind: 'ping', milliseconds }, 'pinged', milliseconds + SLACK_MS);
  }

  churn(streams: number, atOnce: number, millisecondsMax: number): Promise<Churned> {
    const request: AppRequest = { kind: 'churn', streams, atOnce, millisecondsMax };
    return this.#child.ask(request, 'churned', millisecondsMax + SLACK_MS);
  }

  async dial(times: number, millisecondsMax: number): Promise<readonly number[]> {
    const request: AppRequest = { kind: 'dial', times, millisecondsMax };
    return (await this.#child.ask(request, 'dialled', millisecondsMax + SLACK_MS)).times;
  }

  transfer(bytes: number, patienceMs: number): Promise<Transferred> {
    return this.#child.ask({ kind: 'transfer', bytes }, 'transferred', patienceMs);
  }

  async mtu(): Promise<number> {
    return (await this.#child.ask({ kind: 'mtu' }, 'mtu')).bytes;
  }

  usage(collects?: boolean): Promise<Usage> {
    return this.#child.usage(collects);
  }
}

const SLACK_MS = 60_000;
