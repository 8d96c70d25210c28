import { describe, expect, it } from 'vitest';
import type { WarrenError } from '../../../base/errors.ts';
import { refusal, resetError, tunnelError } from '../../../daemon/stream-errors.ts';
import type { DownReason } from '../../../transport/events.ts';
import { CLOSE_CODES, type CloseCode } from '../../../wire/close-codes.ts';

const PEER = { address: '0:0000.7F3A.19C2', name: 'alice', key: '00' };

describe('what a program is told', () => {
  const reasons: readonly [DownReason, boolean, string][] = [
    [{ kind: 'peer-timeout' }, false, 'ERR_WARREN_UNREACHABLE'],
    [{ kind: 'peer-timeout' }, true, 'ERR_WARREN_PEER_TIMEOUT'],
    [{ kind: 'peer-restarted' }, true, 'ERR_WARREN_PEER_RESTARTED'],
    [{ kind: 'evicted' }, true, 'ERR_WARREN_LIMIT'],
    [{ kind: 'closed', code: 'SHUTDOWN' }, true, 'ERR_WARREN_SHUTDOWN'],
    [{ kind: 'closed', code: 'NOT_TRUSTED' }, true, 'ERR_WARREN_PEER_REMOVED'],
    [{ kind: 'closed', code: 'NO_ERROR' }, true, 'ERR_WARREN_PEER_CLOSED'],
    [{ kind: 'closed', code: 'FLOW_CONTROL' }, true, 'ERR_WARREN_PROTOCOL'],
    [{ kind: 'closed-by-peer', code: 9, text: '' }, true, 'ERR_WARREN_PEER_CLOSED'],
    [{ kind: 'closed-by-peer', code: 0, text: 'idle' }, true, 'ERR_WARREN_PEER_CLOSED'],
    [{ kind: 'closed-by-peer', code: 12, text: '' }, true, 'ERR_WARREN_NOT_TRUSTED'],
    [{ kind: 'closed-by-peer', code: 4, text: '' }, true, 'ERR_WARREN_PROTOCOL'],
    [{ kind: 'closed-by-peer', code: 12_345, text: '' }, true, 'ERR_WARREN_PROTOCOL'],
  ];
  for (const [reason, wasUp, code] of reasons) {
    it(`of ${JSON.stringify(reason)}${wasUp ? '' : ' before any answer'} is ${code}, in words and with a hint`, () => {
      const error = tunnelError(PEER, reason, wasUp);
      expect(error.code).toBe(code);
      expect([error.message, error.hint].every((text) => text.length > 5)).toBe(true);
    });
  }

  it('of a refusal is one of four, and no other code is one', () => {
    const codes = (Object.keys(CLOSE_CODES) as CloseCode[]).map((name) => refusal(PEER, 80, CLOSE_CODES[name])?.code);
    expect(codes.filter((code) => code !== undefined)).toEqual([
      'ERR_WARREN_REFUSED',
      'ERR_WARREN_BACKLOG_FULL',
      'ERR_WARREN_NOT_TRUSTED',
      'ERR_WARREN_LIMIT',
    ]);
    expect(refusal(PEER, 80, 256)).toBeUndefined();
  });

  it('of a reset names the code, ours by its name', () => {
    const message = (code: number): string => resetError(PEER, code).message;
    expect(message(14)).toContain('CANCELLED');
    expect(message(4_711)).toContain('4711');
  });

  it('shows what a peer said as what it is', () => {
    const said: WarrenError = tunnelError(
      PEER,
      { kind: 'closed-by-peer', code: 9, text: '\u001b[2Jgone\nforged' },
      true,
    );
    expect(said.message).toBe('alice was shut down: "\\u{1b}[2Jgone\\nforged"');
  });
});
