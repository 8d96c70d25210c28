/**
 * Bytes that must not leak by accident: they do not print or serialise (a private field is invisible to inspection too), and
 * are overwritten when dropped.
 * JavaScript may have copied them before; wiping is as good as the language allows.
 */
export class Secret {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The bytes themselves, for the one call that needs them. Do not keep the reference. */
  expose(): Uint8Array {
    return this.#bytes;
  }

  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }
}
