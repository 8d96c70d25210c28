import { ascii } from '../base/bytes.ts';
import { isName, NAME } from '../wire/names.ts';
import type { StateFile } from './state-file.ts';

/**
 * What this node calls itself, from one start to the next: others have let it in by that name, so a start that does not say one
 * takes the one it had.
 */
export const NAME_FILE_BYTES_MAX: number = NAME.lengthMax + 1;

/** Empty where it had none. What cannot be understood is forgotten: only the key says who this is. */
export function loadName(file: StateFile): string {
  const text = String.fromCharCode(...(file.load() ?? []));
  const name = text.slice(0, -1);
  return text === `${name}\n` && isName(name) ? name : '';
}

export function saveName(file: StateFile, name: string): void {
  file.save(ascii(`${name}\n`));
}
