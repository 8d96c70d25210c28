import type { CrowdReply, CrowdRequest } from './rig/crowd.ts';
import type { DaemonProcess } from './rig/daemon-process.ts';
import type { Workshop } from './rig/workshop.ts';

/** Many peers of one daemon, in its book and not connected yet. */
export interface Crowd {
  /** Has the daemon make a tunnel to so many more of them, or to all that are left. */
  connect(count?: number): Promise<void>;
}

/** So many at once as a node starts handshakes without a pause. */
const AT_ONCE = 32;
const START_MS_MAX = 120_000;
const PING_MS_MAX = 30_000;

export async function gatherCrowd(workshop: Workshop, daemon: DaemonProcess, count: number): Promise<Crowd> {
  const crowd = workshop.start<CrowdRequest, CrowdReply>('rig/crowd.js', [String(count)], {
    place: { part: 1, of: 2 },
  });
  const { members } = await crowd.next('ready', START_MS_MAX);
  await crowd.ask({ kind: 'meet', record: await daemon.node.record() }, 'met', START_MS_MAX);
  await eachOf(members, ({ record, endpoint }) => daemon.node.addPeer({ record, endpoints: [endpoint] }));
  // It is the daemon that begins: what strangers may cost one that is asked is limited by source, and these have one.
  const strangers = [...members];
  const connect = (count: number = strangers.length): Promise<void> =>
    eachOf(strangers.splice(0, count), ({ name }) => daemon.node.ping(name, { timeout: PING_MS_MAX }));
  return { connect };
}

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await work(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
