/** The candidate that somebody who wrote `text` probably meant; `undefined` where none is close. */
export function nearest(text: string, candidates: readonly string[]): string | undefined {
  const wanted = normal(text);
  let best: string | undefined;
  // One slip in three letters; and never all of a short word.
  let bestDistance = Math.floor(Math.min(wanted.length, LENGTH_MAX) / 3) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normal(candidate), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** No key is longer. */
const LENGTH_MAX = 64;

/** `log-level`, `log_level` and `LOGLEVEL` are one slip at the most. */
function normal(text: string): string {
  return text.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Characters put in, left out, changed, or two neighbours swapped (Damerau-Levenshtein); `limit` where it is that or more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return Math.min(limit, last[b.length]!);
}
