import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Which cores a process of a benchmark runs on. The processes of one pipeline are numbered along it and share the cores out in
 * that order, so that every layout of as many processes has the same neighbours: on two cores each half of the pipeline has one,
 * on four each process has its own. Without that, medians are of where the kernel happened to put them.
 */
export interface Place {
  /** From 0, along the pipeline. */
  readonly part: number;
  /** How many there are. */
  readonly of: number;
}

/** The words that start a program there: none where there is nothing to choose, or no `taskset`. */
export function pinned({ part, of }: Place): readonly string[] {
  const cores = allowedCores();
  if (cores.length < 2 || !hasTaskset()) return [];
  const first = Math.floor((part * cores.length) / of);
  const last = Math.max(first, Math.floor(((part + 1) * cores.length) / of) - 1);
  return ['taskset', '-c', cores.slice(first, last + 1).join(',')];
}

export function describePinning(): string {
  return pinned({ part: 0, of: 2 }).length === 0 ? 'processes are not pinned' : 'processes are pinned to cores';
}

let cores: readonly number[] | undefined;

/** Not all of the machine's: a container has its share. */
function allowedCores(): readonly number[] {
  cores ??= readAllowedCores();
  return cores;
}

function readAllowedCores(): readonly number[] {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    return list.split(',').flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number);
      return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
    });
  } catch {
    return [];
  }
}

let isThere: boolean | undefined;

function hasTaskset(): boolean {
  isThere ??= spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0;
  return isThere;
}
