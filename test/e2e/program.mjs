// A user's program: a process of its own that has the SDK as it is built, and does what a test tells it over the channel between
// them. Plain JavaScript, because nothing compiles it. It ends with the channel, so it does not outlive its test.
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from '../../dist/sdk/index.js';

/** Written at once. */
const PIECE_BYTES = 64 * 1024;

let node;
/** The daemon's end, as the node tells it. */
let lost;
const servers = new Map();
const datagramPorts = new Map();
const streams = new Map();
/** How the calls that `waitForMany` began have failed. */
let pendingFailures;
/** Those that are only counted. */
let many = [];
/** To abort a dial by, under the name the test gave it. */
const controllers = new Map();

/** Bytes that nothing else could be, different for each seed. */
function* pieces(length, seed) {
  const key = createHash('sha256').update(`bytes ${seed}`).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE_BYTES);
  for (let at = 0; at < length; at += PIECE_BYTES) yield cipher.update(zeros.subarray(0, length - at));
}

/** Follows a stream from its first moment on: how it ends may be asked for at any time. */
function keep(stream) {
  const number = streams.size + 1;
  let hasEnded = false;
  let error;
  stream.once('end', () => {
    hasEnded = true;
  });
  stream.once('error', (thrown) => {
    error = thrown;
  });
  const outcome = new Promise((resolve) => {
    stream.once('close', () => resolve({ hasEnded, code: error?.code, streamCode: error?.streamCode, at: Date.now() }));
  });
  streams.set(number, { stream, read: 0, outcome });
  return number;
}

/** What becomes of a stream without being told. */
const ways = {
  keep: () => undefined,
  echo: ({ stream }) => stream.pipe(stream),
  drain: (kept) =>
    kept.stream.on('data', (bytes) => {
      kept.read += bytes.length;
    }),
  pour: ({ stream }) => {
    const piece = Buffer.alloc(PIECE_BYTES, 'pouring ');
    const more = () => {
      while (stream.writable && stream.write(piece));
    };
    stream.on('drain', more);
    more();
  },
  both: (kept) => {
    ways.drain(kept);
    ways.pour(kept);
  },
};

const verbs = {
  async connect({ socket }) {
    // What it had there before went with the daemon.
    servers.clear();
    datagramPorts.clear();
    node = await connect({ socket });
    lost = new Promise((resolve) => {
      node.once('close', (error) => resolve({ code: error?.code, at: Date.now() }));
    });
    const { address, name } = node;
    return { address, name };
  },
  lost: () => lost,
  close: () => node.close(),
  status: () => node.status(),

  // Ports.
  async listen({ port = 0, how = 'keep', backlog }) {
    const server = await node.listen(port, { allowHalfOpen: true, backlog });
    const taken = [];
    const waiting = [];
    // Whoever listens to nothing takes nothing: the streams wait.
    if (how !== 'nothing') {
      server.on('connection', (stream) => {
        const number = keep(stream);
        ways[how](streams.get(number));
        const next = waiting.shift();
        if (next === undefined) taken.push(number);
        else next(number);
      });
    }
    servers.set(server.port, { server, taken, waiting });
    return { port: server.port };
  },
  async unlisten({ port }) {
    await servers.get(port).server.close();
    servers.delete(port);
  },
  /** The next stream that the port has taken. */
  async taken({ port }) {
    const { taken, waiting } = servers.get(port);
    return { stream: taken.shift() ?? (await new Promise((resolve) => waiting.push(resolve))) };
  },

  // Streams.
  async dial({ peer, port, how = 'keep', name, ...options }) {
    const controller = new AbortController();
    if (name !== undefined) controllers.set(name, controller);
    const stream = await node.dial(peer, port, { allowHalfOpen: true, signal: controller.signal, ...options });
    const number = keep(stream);
    ways[how](streams.get(number));
    return { stream: number, peer: stream.peer, remotePort: stream.remotePort };
  },
  abort({ name }) {
    controllers.get(name).abort();
  },
  write({ stream, text }) {
    streams.get(stream).stream.write(text);
  },
  end({ stream, text }) {
    if (text === undefined) streams.get(stream).stream.end();
    else streams.get(stream).stream.end(text);
  },
  destroy({ stream }) {
    streams.get(stream).stream.destroy();
  },
  giveUp({ stream, code }) {
    streams.get(stream).stream.resetAndDestroy(code);
  },
  /** Text up to so many characters, or up to the end. */
  async read({ stream, length = Number.POSITIVE_INFINITY }) {
    let text = '';
    const readable = streams.get(stream).stream;
    while (text.length < length) {
      const chunk = readable.read();
      if (chunk !== null) text += chunk.toString('latin1');
      else if (readable.readableEnded) break;
      else await nextOf(readable);
    }
    return { text };
  },
  /** So many bytes, and no end unless `end` is set. Done when they have left the program. */
  async send({ stream, bytes, seed, end = true }) {
    const { stream: writable } = streams.get(stream);
    const hash = createHash('sha256');
    for (const piece of pieces(bytes, seed)) {
      hash.update(piece);
      // Rejects with the stream's error where there is one.
      if (!writable.write(piece)) await once(writable, 'drain');
    }
    if (end) {
      writable.end();
      await once(writable, 'finish');
    }
    return { bytes, sha256: hash.digest('hex') };
  },
  /** All there is, up to the end. */
  async receive({ stream }) {
    const hash = createHash('sha256');
    let bytes = 0;
    const readable = streams.get(stream).stream;
    for (;;) {
      const chunk = readable.read();
      if (chunk !== null) {
        hash.update(chunk);
        bytes += chunk.length;
      } else if (readable.readableEnded) break;
      else await nextOf(readable);
    }
    return { bytes, sha256: hash.digest('hex') };
  },
  /** Begins with one of the ways. */
  go({ stream, how }) {
    ways[how](streams.get(stream));
  },
  moved({ stream }) {
    const { stream: one, read } = streams.get(stream);
    return { read, bytesRead: one.bytesRead, bytesWritten: one.bytesWritten };
  },
  /** Once it is over: whether the far side's end was read, or with which error it closed. */
  outcome: ({ stream }) => streams.get(stream).outcome,
  /** Opens many at once, and holds them. */
  async dialMany({ peer, port, count }) {
    many = await Promise.all(Array.from({ length: count }, () => node.dial(peer, port, { allowHalfOpen: true })));
  },
  /** Says something else in each of the many to whoever echoes it; gives how many had every byte back. */
  async echoInMany({ bytes, seed }) {
    const echoes = await Promise.all(
      many.map(async (stream, i) => {
        const sent = Buffer.concat([...pieces(bytes, `${seed} ${i}`)]);
        stream.end(sent);
        const back = [];
        for await (const chunk of stream) back.push(chunk);
        return Buffer.concat(back).equals(sent);
      }),
    );
    return { right: echoes.filter(Boolean).length };
  },

  // Datagrams.
  async bind({ port = 0 }) {
    const datagrams = await node.bind(port);
    datagramPorts.set(datagrams.port, datagrams);
    return { port: datagrams.port };
  },
  async sendDatagram({ from, peer, port, text }) {
    await datagramPorts.get(from).send(peer, port, Buffer.from(text));
  },
  async datagrams({ port, count }) {
    const all = [];
    for await (const { peer, port: from, data } of datagramPorts.get(port)) {
      all.push({ peer: peer.name, from, text: Buffer.from(data).toString() });
      if (all.length === count) break;
    }
    return { all };
  },

  // A daemon that is gone.

  /** Begins one of every call, each of which waits; how each ends is asked for with `failures`. */
  async waitForMany({ peer, port }) {
    const server = await node.listen(0);
    const datagrams = await node.bind(0);
    const calls = {
      dial: node.dial(peer, port),
      ping: node.ping(peer, { timeout: 600_000 }),
      accept: server[Symbol.asyncIterator]().next(),
      receive: datagrams[Symbol.asyncIterator]().next(),
    };
    pendingFailures = failuresOf(calls);
  },
  failures: () => pendingFailures,
  /** One of every call, each begun now. */
  callAll: ({ peer, port }) =>
    failuresOf({
      dial: node.dial(peer, port),
      listen: node.listen(0),
      bind: node.bind(0),
      resolve: node.resolve(peer),
      ping: node.ping(peer),
      status: node.status(),
      peers: node.peers(),
      why: node.why(peer),
    }),
};

async function failuresOf(calls) {
  const failed = await Promise.all(
    Object.entries(calls).map(async ([name, call]) => {
      try {
        await call;
        return [name, { code: 'none', at: Date.now() }];
      } catch (error) {
        return [name, { code: error.code, at: Date.now() }];
      }
    }),
  );
  return Object.fromEntries(failed);
}

/** Until there is more to read, or never will be. */
function nextOf(readable) {
  return new Promise((resolve, reject) => {
    const settle = (error) => {
      readable.off('readable', settle).off('end', settle).off('error', settle).off('close', settle);
      if (readable.errored) reject(readable.errored);
      else if (error === undefined && readable.destroyed && !readable.readableEnded)
        reject(new Error('closed without an end'));
      else resolve();
    };
    if (readable.destroyed && !readable.readableEnded) settle();
    else readable.on('readable', settle).on('end', settle).on('error', settle).on('close', settle);
  });
}

process.on('message', async ({ id, verb, args }) => {
  let reply;
  try {
    reply = { id, value: (await verbs[verb](args)) ?? {} };
  } catch (error) {
    const { code, message, hint, stack } = error;
    reply = { id, error: { code, message, hint, stack } };
  }
  if (process.connected) process.send(reply);
});
process.on('disconnect', () => process.exit());
