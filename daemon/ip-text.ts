import { isIP } from 'node:net';

/** Addresses as the system writes them. */

/** 4 or 16 bytes; the zone of a link-local address is left out. */
export function parseIpAddress(text: string): Uint8Array | undefined {
  // Without the zone, which may be any name an interface can have.
  const address = text.slice(0, text.length - zoneOf(text).length);
  const version = isIP(address);
  if (version === 0) return undefined;
  if (version === 4) return Uint8Array.from(address.split('.'), Number);
  const [head, tail] = address.split('::');
  const front = groupsOf(head!);
  const back = tail === undefined ? [] : groupsOf(tail);
  const groups = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 0xff]));
}

/** 16 bits each; an IPv4 address at the end is two of them (RFC 4291 §2.2). */
function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return Number.parseInt(group, 16);
    const [a, b, c, d] = group.split('.').map(Number);
    return [(a! << 8) | b!, (c! << 8) | d!];
  });
}

/** `%eth0` of `fe80::1%eth0`, nothing of most addresses. */
export function zoneOf(text: string): string {
  const start = text.indexOf('%');
  return start < 0 ? '' : text.slice(start);
}
