import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Agent as UndiciAgent } from 'undici';
import { misuse } from './errors.ts';
import type { WarrenStream } from './stream.ts';

/** How a request's connection is made. */
export type Connect = (peer: string, port: number) => WarrenStream;

const HTTP_PORT = 80;

/** For `node:http`: its pool, its keep-alive, its limits; only where a connection goes is ours. */
export class WarrenHttpAgent extends Agent {
  readonly #connect: Connect;

  constructor(connect: Connect, options: AgentOptions) {
    super({ keepAlive: true, ...options });
    this.#connect = connect;
  }

  /** What cannot even be dialled is the request's error too: the pool may dial in a turn where nobody could catch it. */
  override createConnection(
    { host, port }: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | undefined {
    try {
      return this.#connect(host ?? 'localhost', Number(port ?? HTTP_PORT));
    } catch (error) {
      if (callback === undefined) throw error;
      callback(error as Error, undefined as never);
      return undefined;
    }
  }
}

/** undici's agent, which by its types is the dispatcher of the `fetch` that is part of Node too: those know it by a type of their own. */
export type WarrenDispatcher = UndiciAgent &
  (RequestInit extends { readonly dispatcher?: infer D } ? NonNullable<D> : unknown);

/** undici takes a while to load, so it waits until somebody asks. */
export function createDispatcher(connect: Connect, options: UndiciAgent.Options): WarrenDispatcher {
  const undici = createRequire(import.meta.url)('undici') as typeof import('undici');
  const agent: UndiciAgent = new undici.Agent({
    ...options,
    connect: ({ protocol, hostname, port }, callback) => {
      if (protocol !== 'http:') {
        const hint = 'use http: whatever goes through warren is encrypted, and its peer known';
        process.nextTick(() => callback(misuse(`${protocol} is not spoken here`, hint), null));
        return;
      }
      const failed = (error: Error): void => callback(error, null);
      let stream: WarrenStream;
      try {
        stream = connect(hostname, port === '' ? HTTP_PORT : Number(port));
      } catch (error) {
        process.nextTick(failed, error);
        return;
      }
      stream.once('error', failed);
      stream.once('connect', () => {
        stream.off('error', failed);
        // It has everything of a socket's that undici uses.
        callback(null, stream as unknown as Socket);
      });
    },
  });
  return agent as WarrenDispatcher;
}
