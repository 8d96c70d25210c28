import { createRequire } from 'node:module';

/** As package.json says it, which a package finds by its own name, from its sources and compiled alike. */
export function version(): string {
  const { version } = createRequire(import.meta.url)('warren/package.json') as { readonly version: string };
  return version;
}
