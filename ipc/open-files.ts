import { readFileSync } from 'node:fs';

/** What a process may have open where the system does not tell us: less than any that Node has raised its limit on. */
const OPEN_FILES_ELSEWHERE = 4_096;

/**
 * How many files and sockets this process may have open. Node, which raises the limit as far as it may when it starts, does not
 * tell; Linux does.
 */
export function openFilesMax(): number {
  try {
    return parseLimits(readFileSync('/proc/self/limits', 'latin1'));
  } catch {
    return OPEN_FILES_ELSEWHERE;
  }
}

/** The soft limit out of the text of proc_pid_limits(5). */
export function parseLimits(text: string): number {
  const soft = /^Max open files +(\d+|unlimited)/m.exec(text)?.[1];
  if (soft === undefined) return OPEN_FILES_ELSEWHERE;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
