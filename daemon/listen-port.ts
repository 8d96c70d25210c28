import { ascii } from '../base/bytes.ts';
import type { StateFile } from './state-file.ts';

/**
 * The UDP port from one start to the next. Peers and NATs know a node by it for a while, so a daemon that may choose takes the one
 * it had.
 */
export const PORT_DEFAULT = 4_440;
/** Daemons of one machine that each find their port beside the others'. */
const PORTS_TRIED = 32;
export const PORT_FILE_BYTES_MAX = 16;

/** In the order to try them. The last, 0, is any free one, so that no stranger's port can keep a daemon from starting. */
export function portsToTry(remembered: number | undefined): readonly number[] {
  const preferred = Array.from({ length: PORTS_TRIED }, (_, i) => PORT_DEFAULT + i);
  return [...new Set([...(remembered === undefined ? [] : [remembered]), ...preferred, 0])];
}

/** Of no great worth: what cannot be understood is forgotten. */
export function loadPort(file: StateFile): number | undefined {
  const text = String.fromCharCode(...(file.load() ?? []));
  const port = /^[1-9]\d{0,4}\n$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 0xffff ? port : undefined;
}

export function savePort(file: StateFile, port: number): void {
  file.save(ascii(`${port}\n`));
}
