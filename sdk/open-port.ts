import { EventEmitter } from 'node:events';
import type { WarrenError } from '../base/errors.ts';
import { portClosed } from './errors.ts';
import { Inbox, type InboxUser } from './inbox.ts';
import type { Hold } from './liveness.ts';
import type { NodeAccess, Port } from './node-access.ts';
import type { StreamAddress } from './stream.ts';

/** What both kinds of port are, those for streams and those for datagrams: open until they are closed or their node is lost. */
export abstract class OpenPort<T, P extends Port, E extends Record<keyof E, unknown[]>> extends EventEmitter<E> {
  readonly #access: NodeAccess;
  readonly #inbox: Inbox<T>;
  readonly #hold: Hold;
  #port: P | undefined;
  #isOpen = true;
  #error: WarrenError | undefined;
  #closing: Promise<void> | undefined;

  /** `event` is what listeners get its items by. @internal */
  protected constructor(access: NodeAccess, event: string, max: number, user: Omit<InboxUser<T>, 'hasListener'>) {
    super();
    this.#access = access;
    this.#hold = access.liveness.hold();
    this.#inbox = new Inbox(max, { ...user, hasListener: () => this.#plain.listenerCount(event) > 0 });
    this.#plain.on('newListener', (name: string | symbol) => {
      // It is there on the next turn.
      if (name === event) process.nextTick(() => this.#inbox.handOut());
    });
  }

  /** Of this node. */
  get port(): number {
    return this.#port!.port;
  }

  address(): StreamAddress {
    return { address: this.#access.self.address, family: 'warren', port: this.port };
  }

  /** Takes nothing more in. Resolves when the port is free again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The process lives on while the port is open; that is how it begins. */
  ref(): this {
    this.#hold.ref();
    return this;
  }

  /** The process may end while the port is open. */
  unref(): this {
    this.#hold.unref();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  protected get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Thrown: it is closed, or its node lost. @internal */
  protected get boundPort(): P {
    if (!this.#isOpen) throw this.#error ?? portClosed();
    return this.#port!;
  }

  /** Waits until the port is open; where it cannot be, nothing is left behind. @internal */
  protected async opened(opening: Promise<P>): Promise<this> {
    try {
      this.#port = await opening;
      return this;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  /** @internal */
  protected came(item: T): void {
    this.#inbox.add(item);
  }

  /** `undefined` once the port is closed; throws once its node is lost. @internal */
  protected async next(): Promise<T | undefined> {
    const item = await this.#inbox.next();
    if (item === undefined && this.#error !== undefined) throw this.#error;
    return item;
  }

  /** @internal */
  protected lost(error: WarrenError): void {
    if (!this.#isOpen) return;
    this.#error = error;
    this.#closing = Promise.resolve();
    this.#end();
    // Without a listener it would end the process, and `close` says enough.
    if (this.#plain.listenerCount('error') > 0) this.#plain.emit('error', error);
    this.#plain.emit('close');
  }

  async #close(): Promise<void> {
    this.#end();
    try {
      await this.#port?.close();
    } finally {
      this.#plain.emit('close');
    }
  }

  #end(): void {
    this.#isOpen = false;
    this.#inbox.close();
    this.#hold.release();
  }

  /** The compiler cannot tell which events those of a subclass are. */
  get #plain(): EventEmitter {
    return this as unknown as EventEmitter;
  }
}
