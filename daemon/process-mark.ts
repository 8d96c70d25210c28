import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { errnoOf } from './file-errors.ts';

/**
 * Which process, of all that ever ran on this machine: its number, when it began, and the boot it belongs to. The number alone is
 * given to others again.
 */
export interface ProcessMark {
  readonly pid: number;
  /** As the system counts; only ever compared. Empty where it could not be learnt. */
  readonly started: string;
  /** Likewise. */
  readonly boot: string;
}

export function ownMark(): ProcessMark {
  const { pid } = process;
  return { pid, started: lookUp(pid)?.started ?? '', boot: bootId() };
}

/**
 * Whether that process still runs. What cannot be learnt counts for it: to think it alive costs an explanation, to think it dead
 * a second writer. Processes of another container or machine look dead from here.
 */
export function isAlive(mark: ProcessMark): boolean {
  if (differs(mark.boot, bootId())) return false;
  try {
    // Signal 0 only asks (kill(2)).
    process.kill(mark.pid, 0);
  } catch (error) {
    // EPERM says that there is one, which we may not signal.
    if (errnoOf(error) === 'ESRCH') return false;
  }
  const found = lookUp(mark.pid);
  if (found === undefined) return true;
  return !found.isZombie && !differs(mark.started, found.started);
}

function differs(a: string, b: string): boolean {
  return a !== '' && b !== '' && a !== b;
}

interface Found {
  readonly started: string;
  /** Dead, and its parent has not asked how it went: it holds nothing any more. */
  readonly isZombie: boolean;
}

function lookUp(pid: number): Found | undefined {
  return process.platform === 'linux' ? lookUpInProc(pid) : lookUpWithPs(pid);
}

/** proc_pid_stat(5): state is field 3, the start in clock ticks since boot field 22. The second, a name, may hold anything. */
function lookUpInProc(pid: number): Found | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  const fromState = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, started] = [fromState[0], fromState[22 - 3]];
  if (state === undefined || started === undefined) return undefined;
  return { started, isZombie: state === 'Z' || state === 'X' };
}

/** To the second, where there is no /proc. */
export function lookUpWithPs(pid: number): Found | undefined {
  const { PATH } = process.env;
  const { stdout } = spawnSync('ps', ['-o', 'state=', '-o', 'lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    // The date must not change its language between two starts.
    env: { PATH, LC_ALL: 'C', TZ: 'UTC' },
    timeout: ASK_MS_MAX,
  });
  const match = /^\s*(\S+)\s+(\S.*?)\s*$/.exec(stdout ?? '');
  return match === null ? undefined : { started: match[2]!, isZombie: match[1]!.startsWith('Z') };
}

const ASK_MS_MAX = 5_000;

let knownBootId: string | undefined;

function bootId(): string {
  knownBootId ??= askBootId();
  return knownBootId;
}

function askBootId(): string {
  if (process.platform === 'linux') {
    try {
      return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    } catch {
      return '';
    }
  }
  const { status, stdout } = spawnSync('sysctl', ['-n', 'kern.bootsessionuuid'], {
    encoding: 'utf8',
    timeout: ASK_MS_MAX,
  });
  return status === 0 ? stdout.trim() : '';
}
