import { join } from 'node:path';
import { wipeIdentity } from '../crypto/identity.ts';
import { passphraseFromText } from '../crypto/sealed-identity.ts';
import type { Secret } from '../crypto/secret.ts';
import { DirectoryLock } from '../daemon/directory-lock.ts';
import { HOME_FILES, type Home, openHome, openNodeAt } from '../daemon/home.ts';
import { openOwnDirectory } from '../daemon/own-directory.ts';
import { readPassphrase } from '../daemon/passphrase-file.ts';
import { StartTraces } from '../daemon/start-traces.ts';
import type { CreateNodeOptions } from './create-node.ts';
import { warn } from './errors.ts';
import type { Origin } from './origin.ts';

/** As a daemon has it, and not while one does. */
export async function openState(state: string, options: CreateNodeOptions): Promise<Origin> {
  const traces = new StartTraces();
  traces.noteDirectory(state);
  const { path } = openOwnDirectory(state, 'state directory');
  let lock: DirectoryLock | undefined;
  let home: Home | undefined;
  const close = (): void => {
    if (home !== undefined) wipeIdentity(home.identity);
    lock?.release();
  };
  const undo = (): void => {
    if (lock !== undefined) traces.removeFiles();
    close();
    traces.removeDirectories();
  };
  try {
    const held = await DirectoryLock.acquire(path, 'state directory');
    lock = held;
    for (const name of HOME_FILES) traces.noteFile(join(path, name));
    const opened = openHome(path, { isHeld: () => held.isHeld(), passphrase: () => passphraseOf(options) });
    home = opened;
    return { open: (listen, more) => openNodeAt(opened, { listen, portsToTry, warn }, more), close, undo };
  } catch (error) {
    undo();
    throw error;
  }
}

/** The ports that daemons prefer are left to daemons. */
function portsToTry(remembered: number | undefined): readonly number[] {
  return remembered === undefined ? [0] : [remembered, 0];
}

function passphraseOf({ passphrase, passphraseFile }: CreateNodeOptions): Secret | undefined {
  if (passphraseFile !== undefined) return readPassphrase(passphraseFile);
  return passphrase === undefined ? undefined : passphraseFromText(passphrase);
}
