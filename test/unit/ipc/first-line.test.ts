import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WarrenError } from '../../../base/errors.ts';
import {
  ANSWER_BYTES_MAX,
  decodeStreamAnswer,
  decodeStreamLine,
  encodeStreamAnswer,
  encodeStreamLine,
  LINE_BYTES_MAX,
  type StreamLine,
} from '../../../ipc/first-line.ts';

const SEED = 20_260_802;

describe('the line of a stream connection', () => {
  it('is read as it is meant', () => {
    expect(decodeStreamLine('dial alice:80')).toEqual({ kind: 'dial', peer: 'alice', port: 80 });
    expect(decodeStreamLine('dial 0:0000.7F3A.19C2:80')).toEqual({ kind: 'dial', peer: '0:0000.7F3A.19C2', port: 80 });
    expect(
      decodeStreamLine(
        'dial bob:65535 priority=high id=9007199254740991 client=abc timeout=1 congestion=bbr peer-timeout=1000',
      ),
    ).toEqual({
      kind: 'dial',
      peer: 'bob',
      port: 65_535,
      owner: { client: 'abc', id: Number.MAX_SAFE_INTEGER },
      priority: 0,
      timeout: 1,
      congestion: 'bbr',
      peerTimeout: 1_000,
    });
    expect(decodeStreamLine('accept t0ken client=abc id=1')).toEqual({
      kind: 'accept',
      token: 't0ken',
      owner: { client: 'abc', id: 1 },
    });
  });

  it.each([
    '',
    'dial',
    'dial ',
    'dial alice',
    'dial alice:',
    'dial :80',
    'dial alice:0',
    'dial alice:080',
    'dial alice:65536',
    'dial alice:80 ',
    'dial  alice:80',
    ' dial alice:80',
    'DIAL alice:80',
    'dial alice:80\r',
    'dial alice:80\0',
    'dial \u00e4lice:80',
    'dial alice:80 unknown=1',
    'dial alice:80 priority=urgent',
    'dial alice:80 priority=__proto__',
    'dial alice:80 timeout=0',
    'dial alice:80 timeout=1e3',
    'dial alice:80 timeout=86400001',
    'dial alice:80 peer-timeout=999',
    'dial alice:80 peer-timeout=3600001',
    'dial alice:80 peer-timeout=1e3',
    'dial alice:80 timeout=1 timeout=2',
    'dial alice:80 congestion=',
    'dial alice:80 =1',
    'dial alice:80 client=a',
    'dial alice:80 id=1',
    'dial alice:80 client=a id=0',
    'dial alice:80 client=a id=9007199254740992',
    'accept',
    'accept t',
    'accept t client=a',
    'accept t client=a id=1 priority=high',
    'listen 80',
  ])('%j is none', (line) => {
    const { kind, message } = decodeStreamLine(line) as { kind: string; message: string };
    expect(kind).toBe('line-error');
    if (line.length > 20) expect(message).not.toContain(line);
  });

  it('says which span is out of its range, and what the range is', () => {
    expect(decodeStreamLine('dial alice:80 timeout=0')).toMatchObject({
      message: 'timeout is a number of milliseconds from 1 to 86400000',
    });
    expect(decodeStreamLine('dial alice:80 timeout=5 peer-timeout=5')).toMatchObject({
      message: 'peer-timeout is a number of milliseconds from 1000 to 3600000',
    });
  });

  it('has at most 512 bytes with its LF', () => {
    const line = (length: number): string => `dial a:1 congestion=${'x'.repeat(length - 20)}`;
    expect(decodeStreamLine(line(LINE_BYTES_MAX - 1)).kind).toBe('dial');
    expect(decodeStreamLine(line(LINE_BYTES_MAX)).kind).toBe('line-error');
  });

  const word = fc.stringMatching(/^[!-~]{1,20}$/);
  const owner = fc.record({ client: word, id: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }) });
  const timeout = fc.option(fc.integer({ min: 1, max: 86_400_000 }), { nil: undefined });
  const peerTimeout = fc.option(fc.integer({ min: 1_000, max: 3_600_000 }), { nil: undefined });
  const lines: fc.Arbitrary<StreamLine> = fc.oneof(
    fc.record({
      kind: fc.constant('dial' as const),
      peer: word,
      port: fc.integer({ min: 1, max: 65_535 }),
      owner: fc.option(owner, { nil: undefined }),
      priority: fc.constantFrom(undefined, 0 as const, 1 as const, 2 as const),
      timeout,
      congestion: fc.option(word, { nil: undefined }),
      peerTimeout,
    }),
    fc.record({ kind: fc.constant('accept' as const), token: word, owner }),
  );

  it('says what is written, and is read as it was meant', () => {
    fc.assert(
      fc.property(lines, (line) => {
        const text = encodeStreamLine(line);
        expect(text).toMatch(/\n$/);
        expect(decodeStreamLine((text as string).slice(0, -1))).toEqual(line);
      }),
      { seed: SEED },
    );
  });

  it('never says anything else than was meant, whatever a program calls a peer', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), fc.string({ maxLength: 30 }), (peer, congestion) => {
        const line = { kind: 'dial', peer, port: 80, congestion } as const;
        const text = encodeStreamLine(line);
        if (typeof text === 'string') expect(decodeStreamLine(text.slice(0, -1))).toEqual(line);
      }),
      { seed: SEED },
    );
    for (const peer of ['bob:80 id=3', 'bob 80', '', 'bob\nx', 'b\u00fcb']) {
      expect(encodeStreamLine({ kind: 'dial', peer, port: 80 })).toMatchObject({ kind: 'line-error' });
    }
  });
});

describe('the answer', () => {
  const peer = { address: '0:0000.7F3A.19C2', name: 'a"\n\u001b\u2028', key: 'ab' };

  it('is one line, whatever a peer is called', () => {
    for (const id of [undefined, 7]) {
      const answer = { ok: true, id, peer, localPort: 49_152, remotePort: 80 } as const;
      const text = encodeStreamAnswer(answer);
      expect(text.indexOf('\n')).toBe(text.length - 1);
      expect(decodeStreamAnswer(text)).toEqual(answer);
    }
  });

  it('carries code, message and hint of an error, cut where they are endless', () => {
    const error = new WarrenError('ERR_WARREN_REFUSED', 'no', 'try');
    expect(decodeStreamAnswer(encodeStreamAnswer({ ok: false, error }))).toEqual({ ok: false, error });
    const endless = new WarrenError('ERR_WARREN_REFUSED', '\u0001'.repeat(1e6), '\ud800'.repeat(1e6));
    const text = encodeStreamAnswer({ ok: false, error: endless });
    expect(Buffer.byteLength(text)).toBeLessThan(ANSWER_BYTES_MAX);
    expect(decodeStreamAnswer(text)).toMatchObject({ ok: false });
  });

  it('reads nothing else', () => {
    const good = { ok: true, peer: { address: 'a', name: 'b', key: 'c' }, localPort: 1, remotePort: 2 };
    expect(decodeStreamAnswer(JSON.stringify({ ...good, added: 'later' }))).toEqual(good);
    for (const bad of [
      '',
      'nonsense',
      'null',
      '7',
      '[]',
      '{}',
      '{"ok":false}',
      '{"ok":false,"error":{"code":"EPERM","message":"","hint":""}}',
      '{"ok":false,"error":{"code":"ERR_WARREN_X","message":1,"hint":""}}',
      JSON.stringify({ ...good, peer: null }),
      JSON.stringify({ ...good, localPort: 70_000 }),
      JSON.stringify({ ...good, remotePort: '80' }),
      JSON.stringify({ ...good, id: 1.5 }),
      JSON.stringify({ ...good, ok: 'true' }),
    ]) {
      expect(decodeStreamAnswer(bad)).toBeUndefined();
    }
  });
});
