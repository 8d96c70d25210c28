/**
 * Loaded into every process of a benchmark before its own program, the daemon included, which knows nothing of it: answers what
 * the process has cost so far, and ends it when whoever started it is gone.
 */

export interface ProbeRequest {
  readonly probe: 'usage';
  /** Before what is held is counted; it is work by itself, so not where processor time is measured. */
  readonly collects: boolean;
}

export interface Usage {
  readonly kind: 'usage';
  /** In milliseconds, by the process's own clock. */
  readonly at: number;
  /** User and system time since it began. */
  readonly cpuMs: number;
  /** Objects, and the memory outside that they own. */
  readonly heldBytes: number;
  readonly residentBytes: number;
}

const collect = (globalThis as { gc?: () => void }).gc;

function usage(collects: boolean): Usage {
  if (collects) {
    // Twice: what finalizers let go of is garbage only then.
    collect?.();
    collect?.();
  }
  const { user, system } = process.cpuUsage();
  const { heapUsed, external, rss } = process.memoryUsage();
  return {
    kind: 'usage',
    at: performance.now(),
    cpuMs: (user + system) / 1_000,
    heldBytes: heapUsed + external,
    residentBytes: rss,
  };
}

process.on('message', (message: Partial<ProbeRequest>) => {
  if (message.probe === 'usage') process.send?.(usage(message.collects === true));
});
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
