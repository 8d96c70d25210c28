import type { Instant } from '../base/time.ts';
import { CLOSE_CODES, type CloseCode } from '../wire/close-codes.ts';
import type { CloseFrame } from '../wire/frames.ts';
import { CLOSE_REASON_BYTES_MAX } from '../wire/frames.ts';
import { cutUtf8 } from '../wire/utf8.ts';

/** RFC 9000 §10.2.1: after our own CLOSE, what the peer still says is answered with it again, ever more rarely. */
export class Closing {
  readonly frame: CloseFrame;
  /** When what is under way has had time to arrive, and the tunnel may be forgotten. */
  readonly endsAt: Instant;
  #isDue = true;
  #heard = 0;

  constructor(code: CloseCode, reason: string, endsAt: Instant) {
    this.frame = closeFrame(code, reason);
    this.endsAt = endsAt;
  }

  /** Whether to send it now; once said, not again until the peer has been heard. */
  takeDue(): boolean {
    const isDue = this.#isDue;
    this.#isDue = false;
    return isDue;
  }

  /** Of the peer's packets the first is answered, and then every one whose number is a power of two. */
  noteHeard(): void {
    this.#heard += 1;
    if ((this.#heard & (this.#heard - 1)) === 0) this.#isDue = true;
  }
}

/** The reason goes to the peer; it says nothing that the peer may not know. */
export function closeFrame(code: CloseCode, reason: string): CloseFrame {
  return { kind: 'close', code: CLOSE_CODES[code], reason: cutUtf8(reason, CLOSE_REASON_BYTES_MAX) };
}
