import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fromHex } from '../../base/bytes.ts';
import { bare, HandMade, stage, takeAll, until } from './support.ts';

/** What ipc/PROTOCOL.md promises to a program in any language: its own examples, over nothing but a Unix socket. */

const PAGE = readFileSync(new URL('../../ipc/PROTOCOL.md', import.meta.url), 'utf8');

function example(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm').exec(PAGE);
  expect(found, `an example in ${language}`).not.toBeNull();
  return found![1]!;
}

it('the example for nc gets its answer, and what the far side says', async () => {
  const { paths, alice } = await stage();
  // An echo.
  const taken = takeAll(alice, 7, (far) => {
    far.echoes = true;
  });
  const [, line] = /printf '([^']*)' \| nc -U -N \S*\/app\.sock/.exec(example('sh'))!;
  const { socket, bytes } = await bare(paths.app);
  // -N: the end of the input is the end of writing.
  socket.end(line!.replaceAll('\\n', '\n'));
  const [answer, ...rest] = (await bytes.end()).toString().split('\n');
  expect(JSON.parse(answer!)).toEqual({ ok: true, peer: alice.self, localPort: 49_152, remotePort: 7 });
  expect(rest.join('\n')).toBe('hello\n');
  expect(taken).toHaveLength(1);
  await until('the connection to close', () => bytes.hasClosed);
});

it('the bytes of a control connection are answered', async () => {
  const { paths, alice, bob } = await stage();
  const bytes = fromHex(example('hex').replaceAll(/;.*/g, '').replaceAll(/\s/g, ''));
  const made = await HandMade.connect(paths.app, bytes);
  const [hello, who] = [await made.reply(1), await made.reply(2)];
  expect(Object.fromEntries(hello)).toEqual({
    ...alice.self,
    re: 1,
    ok: true,
    version: 1,
    client: expect.stringMatching(/^[0-9a-f-]{36}$/),
    daemon: '0.1.0',
  });
  expect(Object.fromEntries(who)).toEqual({ ...bob.self, re: 2, ok: true });
});

it('the bytes may come one by one', async () => {
  const { paths } = await stage();
  const bytes = fromHex(example('hex').replaceAll(/;.*/g, '').replaceAll(/\s/g, ''));
  const made = await HandMade.connect(paths.app, bytes.subarray(0, 1));
  for (const byte of bytes.subarray(1)) {
    made.socket.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await made.reply(2)).get('name')).toBe('bob');
});
