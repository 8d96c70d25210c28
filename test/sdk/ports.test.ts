import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DatagramMessage, WarrenStream } from '../../sdk/index.ts';
import { event, type Pair, textOf, until, WAYS } from './support.ts';

describe.each(WAYS)('a port of a node $way', ({ open }) => {
  let pair: Pair;
  beforeEach(async () => {
    pair = await open();
  });
  afterEach(() => pair.close());

  describe('for streams', () => {
    it('says where it is', async () => {
      const server = await pair.bob.listen(0);
      expect(server.port).toBeGreaterThanOrEqual(49_152);
      expect(server.address()).toEqual({ address: pair.bob.address, family: 'warren', port: server.port });
      expect(server.listening).toBe(true);
      const fixed = await pair.bob.listen(81);
      expect(fixed.port).toBe(81);
      expect((await pair.bob.status()).listening).toEqual(expect.arrayContaining([81, server.port]));
    });

    it('is one program’s, until it is closed', async () => {
      const server = await pair.bob.listen(82);
      const again = (): Promise<unknown> => pair.bob.listen(82).catch((error) => error);
      expect(await again()).toMatchObject({ code: 'ERR_WARREN_PORT_TAKEN' });
      const closed = event(server, 'close');
      await server.close();
      await closed;
      await server.close();
      expect(server.listening).toBe(false);
      await (await pair.bob.listen(82)).close();
    });

    it('leaves the streams it has taken alone when it is closed, and refuses those that wait', async () => {
      const server = await pair.bob.listen(83);
      const stream = await Promise.all([pair.alice.dial('bob', 83), event(server, 'connection')]);
      const far = stream[1][0] as WarrenStream;
      server.removeAllListeners('connection');
      const waiting = pair.alice.dial('bob', 83).catch((error) => error);
      await until('it to wait', async () => (await pair.bob.status()).streams === 2);
      await server.close();
      expect(await waiting).toMatchObject({ code: 'ERR_WARREN_REFUSED' });
      stream[0].end('still');
      expect(await textOf(far)).toBe('still');
    });

    it('keeps what comes until the program listens', async () => {
      const server = await pair.bob.listen(84);
      const stream = pair.alice.createConnection('bob', 84);
      stream.end('early');
      await until('it to wait', async () => (await pair.bob.status()).streams === 1);
      const [far] = (await event(server, 'connection')) as [WarrenStream];
      expect(await textOf(far)).toBe('early');
    });

    it('can be looped over, and ends the loop when it is closed', async () => {
      const server = await pair.bob.listen(85);
      const texts: string[] = [];
      const loop = (async () => {
        for await (const stream of server) {
          texts.push(await textOf(stream));
          if (texts.length === 3) await server.close();
        }
      })();
      for (const text of ['one', 'two', 'three']) (await pair.alice.dial('bob', 85)).end(text);
      await loop;
      expect(texts.sort()).toEqual(['one', 'three', 'two']);
    });

    it('gives a stream that was given up while it waited to whoever takes it, with its error', async () => {
      const server = await pair.bob.listen(86);
      const stream = pair.alice.createConnection('bob', 86);
      await until('it to wait', async () => (await pair.bob.status()).streams === 1);
      stream.destroy();
      await until('it to be gone here', async () => (await pair.alice.status()).streams === 0);
      for await (const far of server) {
        await expect(textOf(far)).rejects.toMatchObject({ code: 'ERR_WARREN_RESET' });
        break;
      }
      await until('it to be gone there', async () => (await pair.bob.status()).streams === 0);
    });

    it('gives a stream whose end came at once to the loop all the same', async () => {
      const server = await pair.bob.listen(87);
      const loop = (async () => {
        for await (const stream of server) return (await textOf(stream)).length;
        return -1;
      })();
      pair.alice.createConnection('bob', 87).end();
      expect(await loop).toBe(0);
    });

    it('is closed with its node', async () => {
      const server = await pair.bob.listen(89);
      const loop = (async () => {
        for await (const _ of server);
        return 'over';
      })();
      await pair.bob.close();
      expect(server.listening).toBe(false);
      expect(await loop).toBe('over');
    });
  });

  describe('for datagrams', () => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    const textIn = ({ data }: DatagramMessage): string => new TextDecoder().decode(data);

    it('brings them with their sender, who can be answered', async () => {
      const near = await pair.alice.bind(0);
      const far = await pair.bob.bind(500);
      await near.send('bob', 500, bytes('ping'));
      const [message] = (await event(far, 'message')) as [DatagramMessage];
      expect(textIn(message)).toBe('ping');
      expect(message).toMatchObject({ port: near.port, peer: { address: pair.alice.address, name: 'alice' } });
      await far.send(message.peer.address, message.port, bytes('pong'));
      for await (const answer of near) {
        expect(textIn(answer)).toBe('pong');
        break;
      }
      await near.close();
    });

    it('says where nothing could be sent; who does not ask is left in peace', async () => {
      const port = await pair.alice.bind(0);
      await expect(port.send('nobody', 1, bytes('x'))).rejects.toMatchObject({ code: 'ERR_WARREN_UNKNOWN_PEER' });
      await expect(port.send('bob', 1, new Uint8Array(60_000))).rejects.toMatchObject({
        code: 'ERR_WARREN_DATAGRAM_TOO_LARGE',
      });
      void port.send('nobody', 1, bytes('x'));
      await new Promise((resolve) => setTimeout(resolve, 20));
    });

    it('lets its bytes be used again at once', async () => {
      const near = await pair.alice.bind(0);
      const far = await pair.bob.bind(501);
      const data = bytes('mine');
      const sent = near.send('bob', 501, data);
      data.fill(0);
      await sent;
      expect(textIn(((await event(far, 'message')) as [DatagramMessage])[0])).toBe('mine');
    });

    it('keeps the latest 256 for a program that does not listen, and counts the others', async () => {
      const port = await pair.alice.bind(502);
      for (let i = 0; i < 300; i++) {
        await port.send('alice', 502, bytes(`${i}`));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await until('the last to have come', () => port.dropped === 44);
      const texts: string[] = [];
      port.on('message', (message) => texts.push(textIn(message)));
      await until('all to be taken', () => texts.length === 256);
      expect([texts[0], texts[255]]).toEqual(['44', '299']);
    });

    it('is one program’s, until it is closed', async () => {
      const port = await pair.bob.bind(503);
      expect(port.address()).toEqual({ address: pair.bob.address, family: 'warren', port: 503 });
      await expect(pair.bob.bind(503)).rejects.toMatchObject({ code: 'ERR_WARREN_PORT_TAKEN' });
      const loop = (async () => {
        for await (const _ of port);
        return 'over';
      })();
      await port.close();
      expect(await loop).toBe('over');
      await (await pair.bob.bind(503)).close();
    });
  });
});
