import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import { pipeline } from 'node:stream/promises';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { WarrenServer } from '../../sdk/index.ts';
import { bytesOf, event, type Pair, patterned, textOf, until, WAYS } from './support.ts';

const MIB = 1_024 * 1_024;

interface Answer {
  readonly status: number | undefined;
  readonly body: Buffer;
  readonly headers: http.IncomingHttpHeaders;
}

/** One request, as anybody would write it. */
function ask(options: http.RequestOptions, body?: Uint8Array): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = http.request(options, (response) => {
      bytesOf(response).then(
        (bytes) => resolve({ status: response.statusCode, body: bytes, headers: response.headers }),
        reject,
      );
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

describe.each(WAYS)('HTTP over a node $way', ({ open }) => {
  let pair: Pair;
  let server: http.Server;
  let port: WarrenServer;
  /** Connections that the server has been handed. */
  let connections = 0;

  beforeAll(async () => {
    pair = await open();
    server = http.createServer((incoming, response) => {
      const { url } = incoming;
      if (url === '/who') {
        const { remoteAddress, remotePort } = incoming.socket;
        response.end(`${remoteAddress} ${typeof remotePort} ${incoming.headers.host}`);
      } else if (url === '/echo') {
        response.writeHead(200, { 'content-type': 'application/octet-stream' });
        pipeline(incoming, response).catch(() => {});
      } else if (url === '/slow') {
        setTimeout(() => response.end('slow'), 30);
      } else if (url === '/hang') {
        response.write('beginning');
      } else if (url === '/broken') {
        response.writeHead(200, { 'content-length': 1_000 });
        response.write('not all');
        setTimeout(() => response.destroy(), 10);
      } else {
        response.writeHead(404).end('nothing here');
      }
    });
    server.on('checkContinue', (incoming, response) => {
      if (incoming.headers['content-type'] === 'text/forbidden') {
        response.writeHead(417).end();
        return;
      }
      response.writeContinue();
      server.emit('request', incoming, response);
    });
    server.on('upgrade', (incoming, socket) => {
      if (incoming.headers.upgrade !== 'echo') return;
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.pipe(socket);
    });
    server.on('connection', () => {
      connections += 1;
    });
    port = await pair.bob.serve(server, 80);
  });
  afterAll(async () => {
    await port.close();
    await pair.close();
  });

  describe('with node:http', () => {
    it('knows who asks', async () => {
      const agent = pair.alice.agent();
      const { status, body } = await ask({ agent, host: 'bob', path: '/who' });
      expect([status, body.toString()]).toEqual([200, `${pair.alice.address} number bob`]);
      agent.destroy();
    });

    it('uses a connection again', async () => {
      const agent = pair.alice.agent({ maxSockets: 1 });
      const before = connections;
      for (let i = 0; i < 20; i++) {
        const { body } = await ask({ agent, host: 'bob', path: '/echo', method: 'POST' }, Buffer.from(`${i}`));
        expect(body.toString()).toBe(`${i}`);
      }
      expect(connections - before).toBe(1);
      agent.destroy();
    });

    it('uses as many as it may, and no more', async () => {
      const agent = pair.alice.agent({ maxSockets: 8 });
      const before = connections;
      const answers = await Promise.all(Array.from({ length: 100 }, () => ask({ agent, host: 'bob', path: '/slow' })));
      expect(answers.every(({ body }) => body.toString() === 'slow')).toBe(true);
      expect(connections - before).toBe(8);
      agent.destroy();
    });

    it('carries large bodies both ways at once', { timeout: 120_000 }, async () => {
      const agent = pair.alice.agent();
      const sent = createHash('sha256');
      const received = createHash('sha256');
      const asking = http.request({ agent, host: 'bob', path: '/echo', method: 'POST' });
      const source = patterned(16 * MIB, 3);
      source.on('data', (chunk) => sent.update(chunk));
      const answered = async (): Promise<void> => {
        const [response] = (await event(asking, 'response')) as [http.IncomingMessage];
        await pipeline(response, received);
      };
      await Promise.all([answered(), pipeline(source, asking)]);
      expect(received.digest('hex')).toBe(sent.digest('hex'));
      agent.destroy();
    });

    it('asks before it sends, where the client wants that', async () => {
      const agent = pair.alice.agent();
      const body = randomBytes(100_000);
      const options = { agent, host: 'bob', path: '/echo', method: 'POST' };
      const asking = http.request({ ...options, headers: { expect: '100-continue', 'content-length': body.length } });
      asking.flushHeaders();
      await event(asking, 'continue');
      asking.end(body);
      const [response] = (await event(asking, 'response')) as [http.IncomingMessage];
      expect(await bytesOf(response)).toEqual(body);

      const refused = http.request({
        ...options,
        headers: { expect: '100-continue', 'content-type': 'text/forbidden' },
      });
      refused.flushHeaders();
      const [no] = (await event(refused, 'response')) as [http.IncomingMessage];
      expect(no.statusCode).toBe(417);
      refused.destroy();
      agent.destroy();
    });

    it('becomes something else by an upgrade', async () => {
      const agent = pair.alice.agent();
      const asking = http.request({ agent, host: 'bob', headers: { connection: 'Upgrade', upgrade: 'echo' } });
      asking.end();
      const [, socket] = (await event(asking, 'upgrade')) as [http.IncomingMessage, import('node:net').Socket];
      socket.end('no longer HTTP');
      expect(await textOf(socket)).toBe('no longer HTTP');
      agent.destroy();
    });

    it('fails where nobody serves, and where the answer breaks off', async () => {
      const agent = pair.alice.agent();
      await expect(ask({ agent, host: 'bob', port: 8_080 })).rejects.toMatchObject({ code: 'ERR_WARREN_REFUSED' });
      await expect(ask({ agent, host: 'nobody' })).rejects.toMatchObject({ code: 'ERR_WARREN_UNKNOWN_PEER' });
      await expect(ask({ agent, host: 'bob', path: '/broken' })).rejects.toBeInstanceOf(Error);
      // And the agent is as good as before.
      expect((await ask({ agent, host: 'bob', path: '/nothing' })).status).toBe(404);
      agent.destroy();
    });

    it('answers a client that has ended its half', async () => {
      const stream = await pair.alice.dial('bob', 80);
      stream.end('GET /who HTTP/1.1\r\nHost: bob\r\nConnection: close\r\n\r\n');
      const answer = await textOf(stream);
      expect([answer.split('\r\n')[0], answer.includes(pair.alice.address)]).toEqual(['HTTP/1.1 200 OK', true]);
    });

    it('ends a request by its signal', async () => {
      const agent = pair.alice.agent();
      const controller = new AbortController();
      const asking = http.get({ agent, host: 'bob', path: '/hang', signal: controller.signal });
      const [response] = (await event(asking, 'response')) as [http.IncomingMessage];
      asking.on('error', () => {});
      controller.abort();
      await expect(textOf(response)).rejects.toMatchObject({ code: 'ECONNRESET' });
      agent.destroy();
    });
  });

  describe('with undici', () => {
    it('answers the fetch that is part of Node', async () => {
      const dispatcher = pair.alice.dispatcher();
      const response = await fetch('http://bob/who', { dispatcher });
      expect(await response.text()).toBe(`${pair.alice.address} number bob`);
      const body = randomBytes(2 * MIB);
      const echoed = await fetch('http://bob/echo', { method: 'POST', body, dispatcher });
      expect(Buffer.from(await echoed.arrayBuffer()).equals(body)).toBe(true);
      await dispatcher.close();
    });

    it('answers requests, one after the other and many at once', async () => {
      const dispatcher = pair.alice.dispatcher({ connections: 4 });
      const before = connections;
      for (let i = 0; i < 5; i++) {
        const { statusCode, body } = await request('http://bob/who', { dispatcher });
        expect([statusCode, (await body.text()).startsWith(pair.alice.address)]).toEqual([200, true]);
      }
      const all = await Promise.all(
        Array.from({ length: 40 }, async () => (await request('http://bob/slow', { dispatcher })).body.text()),
      );
      expect(all.every((text) => text === 'slow')).toBe(true);
      expect(connections - before).toBeLessThanOrEqual(4);
      await dispatcher.close();
    });

    it('says in our words why it cannot', async () => {
      const dispatcher = pair.alice.dispatcher();
      const why = (url: string): Promise<unknown> => request(url, { dispatcher }).catch((error) => error.code);
      expect(await why('http://bob:8080/')).toBe('ERR_WARREN_REFUSED');
      expect(await why('http://nobody/')).toBe('ERR_WARREN_UNKNOWN_PEER');
      expect(await why('https://bob/')).toBe('ERR_WARREN_ARGUMENT');
      await dispatcher.destroy();
    });
  });

  describe('with ws', () => {
    it('talks both ways, in text, in bytes and at length', async () => {
      const sockets = new WebSocketServer({ noServer: true });
      const upgraded = http.createServer();
      upgraded.on('upgrade', (incoming, socket, head) => {
        sockets.handleUpgrade(incoming, socket, head, (webSocket) => {
          webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }));
        });
      });
      const served = await pair.bob.serve(upgraded, 81);
      const agent = pair.alice.agent();
      const client = new WebSocket('ws://bob:81/', { agent });
      await event(client, 'open');
      const answerTo = async (data: string | Buffer): Promise<Buffer> => {
        client.send(data);
        return (await event(client, 'message'))[0] as Buffer;
      };
      expect((await answerTo('hello')).toString()).toBe('hello');
      const long = randomBytes(3 * MIB);
      expect((await answerTo(long)).equals(long)).toBe(true);
      client.ping('there?');
      expect(((await event(client, 'pong'))[0] as Buffer).toString()).toBe('there?');
      client.close(4_000, 'enough');
      expect((await event(client, 'close'))[0]).toBe(4_000);

      const other = new WebSocket('ws://bob:81/', { agent });
      await event(other, 'open');
      const [webSocket] = [...sockets.clients].filter(({ readyState }) => readyState === WebSocket.OPEN);
      other.terminate();
      expect((await event(webSocket!, 'close'))[0]).toBe(1_006);
      agent.destroy();
      await served.close();
    });
  });

  describe('with node:http2', () => {
    it('carries many requests in one stream', async () => {
      const server2 = http2.createServer((incoming, response) => {
        if (incoming.url === '/echo') incoming.pipe(response);
        else response.end(`${incoming.method} ${incoming.url}`);
      });
      const served = await pair.bob.serve(server2, 82);
      const session = http2.connect('http://bob:82', {
        createConnection: () => pair.alice.createConnection('bob', 82),
      });
      session.on('error', () => {});
      const all = await Promise.all(
        Array.from({ length: 50 }, (_, i) => {
          const stream = session.request({ ':path': `/${i}` });
          return textOf(stream);
        }),
      );
      expect(all).toEqual(Array.from({ length: 50 }, (_, i) => `GET /${i}`));
      const body = randomBytes(4 * MIB);
      const echo = session.request({ ':path': '/echo', ':method': 'POST' });
      echo.end(body);
      expect((await bytesOf(echo)).equals(body)).toBe(true);
      const closed = event(session, 'close');
      session.close();
      await closed;
      await served.close();
    });
  });

  it('leaves nothing behind', async () => {
    await until('nothing to be left', async () => (await pair.streams()).every((count) => count === 0));
  });
});
