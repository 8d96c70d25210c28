import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import type { Carrier } from './carrier.ts';

/** Streams of `hyperdht`: Noise over `udx-native`, to a key that a DHT leads to. The DHT has one node of its own, on loopback. */
export interface HyperdhtCarrierOptions {
  readonly kind: 'hyperdht';
  /** Where `require` finds it from. */
  readonly from: string;
  readonly bootstrapPort: number;
}

interface Hyperdht {
  createServer(taken: (stream: Duplex) => void): { listen(keys: KeyPair): Promise<void> };
  connect(publicKey: Buffer): SecretStream;
}
type SecretStream = Duplex & { readonly rawStream: { readonly mtu: number } };
interface KeyPair {
  readonly publicKey: Buffer;
}
export interface HyperdhtClass {
  new (options: object): Hyperdht;
  keyPair(): KeyPair;
  bootstrapper(port: number, host: string): { fullyBootstrapped(): Promise<void> };
}

export const LOOPBACK = '127.0.0.1';

/**
 * On loopback one in a few of its connections opens on the side that dialled and never on the other. Only one on which the other
 * side has said a byte is used: what is measured is how fast it goes where it does.
 */
const GREETING: Buffer = Buffer.from('.');
const ATTEMPTS = 20;
const GREETING_MS_MAX = 500;

export async function hyperdhtCarrier({ from, bootstrapPort }: HyperdhtCarrierOptions): Promise<Carrier> {
  const HyperDht = createRequire(from)('hyperdht') as HyperdhtClass;
  const dht = new HyperDht({ bootstrap: [{ host: LOOPBACK, port: bootstrapPort }], host: LOOPBACK, ephemeral: true });
  const keys = HyperDht.keyPair();
  let peer = '';
  let last: SecretStream | undefined;
  return {
    contact: { key: keys.publicKey.toString('hex') },
    async meet({ key }) {
      peer = String(key);
    },
    async dial(): Promise<Duplex> {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        last = dht.connect(Buffer.from(peer, 'hex'));
        if (await isGreeted(last)) return last;
        last.on('error', () => undefined).destroy();
      }
      throw new Error(`no stream that both sides know of in ${ATTEMPTS} attempts`);
    },
    async listen(taken) {
      const server = dht.createServer((stream) => {
        stream.write(GREETING);
        taken(stream);
      });
      await server.listen(keys);
    },
    mtu: async () => last?.rawStream.mtu ?? 0,
  };
}

async function isGreeted(stream: Duplex): Promise<boolean> {
  const patience = AbortSignal.timeout(GREETING_MS_MAX);
  try {
    await once(stream, 'data', { signal: patience });
    return true;
  } catch {
    return false;
  }
}
