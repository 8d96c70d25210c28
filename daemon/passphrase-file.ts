import * as nodeFs from 'node:fs';
import { WarrenError } from '../base/errors.ts';
import { passphraseFromText } from '../crypto/sealed-identity.ts';
import type { Secret } from '../crypto/secret.ts';
import { fileError, quietly, shellWord } from './file-errors.ts';

/**
 * The first line of a file, without its end. It may be a pipe, as `<(pass show warren)` makes one, or what a container is handed
 * as a secret; so it is asked what ssh asks of a private key: a file of ours is closed to everybody else, and one that belongs to
 * another, who has let us read it, is that one's affair. What was read is wiped; only the passphrase itself remains, as a secret.
 */
export function readPassphrase(path: string): Secret {
  const buffer = new Uint8Array(BYTES_MAX + 1);
  try {
    const line = lineIn(buffer.subarray(0, readInto(buffer, path)));
    if (line === undefined) throw refused(path, `its first line has more than ${BYTES_MAX} bytes`);
    const passphrase = passphraseFromText(decode(line, path));
    if (passphrase === undefined) throw refused(path, 'its first line is empty');
    return passphrase;
  } finally {
    buffer.fill(0);
  }
}

const BYTES_MAX = 1_024;
const OTHERS_ANY = 0o077;
const LF = 0x0a;
const CR = 0x0d;

function readInto(buffer: Uint8Array, path: string): number {
  let fd: number | undefined;
  try {
    fd = nodeFs.openSync(path, nodeFs.constants.O_RDONLY);
    refuseOpenToOthers(path, nodeFs.fstatSync(fd));
    let length = 0;
    while (length < buffer.length && !buffer.subarray(0, length).includes(LF)) {
      const count = nodeFs.readSync(fd, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
    return length;
  } catch (error) {
    throw fileError('read the passphrase file', path, error);
  } finally {
    if (fd !== undefined) {
      const opened = fd;
      quietly(() => nodeFs.closeSync(opened));
    }
  }
}

/** Of the file that is open, so that no other can take its place in between. */
function refuseOpenToOthers(path: string, status: nodeFs.Stats): void {
  if (!status.isFile() || status.uid !== process.geteuid!() || (status.mode & OTHERS_ANY) === 0) return;
  throw new WarrenError(
    'ERR_WARREN_PASSPHRASE_FILE',
    `other users have access to the passphrase file ${shellWord(path)} (mode ${(status.mode & 0o7777).toString(8)})`,
    `chmod 600 ${shellWord(path)}; where others could read it, use another passphrase`,
  );
}

function lineIn(bytes: Uint8Array): Uint8Array | undefined {
  const end = bytes.indexOf(LF);
  const line = end === -1 ? bytes : bytes.subarray(0, end);
  if (line.length > BYTES_MAX) return undefined;
  return line.at(-1) === CR ? line.subarray(0, -1) : line;
}

function decode(line: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(line);
  } catch {
    throw refused(path, 'it is not UTF-8 text');
  }
}

function refused(path: string, why: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_PASSPHRASE_FILE',
    `the passphrase file ${shellWord(path)} cannot be used: ${why}`,
    'put the passphrase on its first line',
  );
}
