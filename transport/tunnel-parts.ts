import type { Instant } from '../base/time.ts';
import { Initiator, type SessionIds } from './initiator.ts';
import { Liveness } from './liveness.ts';
import { Outbox } from './outbox.ts';
import { Outreach } from './outreach.ts';
import { CONTENT_ACK } from './packet-contents.ts';
import { PacketReader } from './packet-reader.ts';
import { PacketWriter } from './packet-writer.ts';
import { AckPolicy } from './recovery/ack-policy.ts';
import { NumberSkipper } from './recovery/number-skipper.ts';
import { Recovery } from './recovery/recovery.ts';
import type { ReplayWindow } from './replay-window.ts';
import { Streams } from './streams/streams.ts';
import type { Tunnel } from './tunnel.ts';
import { TunnelKeys } from './tunnel-keys.ts';
import type { TunnelOptions } from './tunnel-node.ts';
import { TunnelPaths } from './tunnel-paths.ts';

/** What a tunnel is made of. None of them knows the tunnel; who is told what by whom is said in `makeParts`. */
export interface TunnelParts {
  /** Asking for the peer from outside, and making sessions of what it answers. */
  readonly initiator: Initiator;
  readonly outreach: Outreach;
  readonly keys: TunnelKeys;
  readonly paths: TunnelPaths;
  readonly liveness: Liveness;
  /** What comes in. */
  readonly replay: ReplayWindow;
  readonly reader: PacketReader;
  readonly acks: AckPolicy;
  /** What goes out, and what became of it. */
  readonly streams: Streams;
  readonly outbox: Outbox;
  readonly writer: PacketWriter;
  readonly recovery: Recovery;
}

export function makeParts(tunnel: Tunnel, options: TunnelOptions, now: Instant): TunnelParts {
  const { node, peer, localIncarnation, remoteIncarnation } = options;
  const { rng, budget, scratch } = node;
  const config = { ...node.config, ...options.choices };
  const ids: SessionIds = { claim: () => node.claimId(tunnel), release: (id) => node.releaseId(id) };
  const initiator = new Initiator(node, peer, localIncarnation, ids);
  const outreach = new Outreach(initiator);
  const liveness = new Liveness(config.peerTimeout, rng, now);
  const replay = node.createReplayWindow();
  const outbox = new Outbox();
  const acks = new AckPolicy(scratch.ack);
  const streams = new Streams(
    {
      opensEven: initiator.isLower,
      config: config.streams,
      budget,
      admit: (port) => node.admitStream(tunnel, port),
    },
    now,
  );
  const recovery = new Recovery(
    {
      acked: (contents, index) => {
        if (contents.kind(index) === CONTENT_ACK) acks.onAckAcked(contents.offset(index));
        else streams.onAcked(contents, index);
      },
      lost: (contents, index) => streams.onLost(contents, index),
    },
    scratch.recovery,
  );
  const paths = new TunnelPaths({
    config,
    rng,
    recovery,
    moved: (route) => node.emit({ kind: 'path-changed', peer: tunnel.key, route }),
  });
  const keys = new TunnelKeys(
    {
      node,
      initiator,
      ids,
      localIncarnation,
      remoteIncarnation,
      paths,
      outbox,
      learned: ({ record, bytes }) => node.emit({ kind: 'record', peer: tunnel.key, record, bytes }),
    },
    now,
  );
  const { sessions } = keys;
  const { sealedPacketsMax } = config;
  const skipper = new NumberSkipper(node.rng);
  const { draft } = scratch;
  const writer = new PacketWriter({ sessions, outbox, streams, acks, recovery, skipper, draft, sealedPacketsMax });
  const reader = new PacketReader({
    keys,
    paths,
    liveness,
    streams,
    acks,
    recovery,
    outbox,
    writer,
    deliver: ({ sourcePort, destinationPort, data }) =>
      node.deliver({ peer: tunnel.key, sourcePort, destinationPort, data: data.slice() }),
    noteStreams: () => node.noteStreams(tunnel),
  });
  return { initiator, outreach, keys, paths, liveness, replay, reader, acks, streams, outbox, writer, recovery };
}
