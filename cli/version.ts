import { readFileSync } from 'node:fs';

/** As package.json says it, two folders above the compiled program. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
