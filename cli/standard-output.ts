import { fstatSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';

let output: Writable | undefined;

/** Where a command's result goes. */
export function standardOutput(): Writable {
  output ??= isFile() ? new FileOutput() : process.stdout;
  return output;
}

const FD = 1;

function isFile(): boolean {
  try {
    return fstatSync(FD).isFile();
  } catch {
    // Whatever it is, writing will say what is wrong with it.
    return false;
  }
}

/**
 * A nearly full disk takes the part of a write that it has room for. Node's own stream for files takes that for the whole, and the
 * rest would be missing without a word.
 */
class FileOutput extends Writable {
  override _write(chunk: Uint8Array, _encoding: string, callback: (error?: Error | null) => void): void {
    try {
      for (let at = 0; at < chunk.length; ) at += writeSync(FD, chunk, at);
      callback();
    } catch (error) {
      callback(error as Error);
    }
  }
}
