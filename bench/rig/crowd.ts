import { createNode } from '../../sdk/create-node.ts';
import type { WarrenNode } from '../../sdk/node.ts';

/** Many nodes in one process, each with a key and a socket of its own, for one node elsewhere to have as its peers. */

export interface CrowdRequest {
  readonly kind: 'meet';
  readonly record: string;
}

export interface CrowdMember {
  readonly name: string;
  readonly record: string;
  readonly endpoint: string;
}

export type CrowdReply =
  | { readonly kind: 'ready'; readonly members: readonly CrowdMember[] }
  | { readonly kind: 'met' }
  | { readonly kind: 'failed'; readonly message: string };

const count = Number(process.argv[2]);
const nodes: WarrenNode[] = [];
const members: CrowdMember[] = [];
for (let i = 0; i < count; i++) {
  const name = `member${i}`;
  const node = await createNode({ name, listen: '127.0.0.1:0' });
  nodes.push(node);
  const { udp } = await node.status();
  members.push({ name, record: await node.record(), endpoint: `127.0.0.1:${udp.port}` });
}

function reply(message: CrowdReply): void {
  process.send?.(message);
}

process.on('message', (request: CrowdRequest | { readonly probe: string }) => {
  if ('probe' in request) return;
  Promise.all(nodes.map((node) => node.addPeer({ record: request.record }))).then(
    () => reply({ kind: 'met' }),
    (error: unknown) => reply({ kind: 'failed', message: String(error) }),
  );
});
reply({ kind: 'ready', members });
