/**
 * Drops what an array has beyond `length`. To set `length` is a call into V8's runtime, even where nothing changes.
 */
export function truncate(array: unknown[], length: number): void {
  while (array.length > length) array.pop();
}
