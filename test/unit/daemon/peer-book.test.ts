import { describe, expect, it } from 'vitest';
import { toHex } from '../../../base/bytes.ts';
import { WarrenError } from '../../../base/errors.ts';
import { createIdentity, type Identity } from '../../../crypto/identity.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { isRecordError, signIdentityRecord } from '../../../crypto/records.ts';
import { makePeer, PEER_ENDPOINTS_MAX, PEERS_MAX, type Peer, PeerBook } from '../../../daemon/peer-book.ts';
import { decodePeerBook, encodePeerBook } from '../../../daemon/peer-book-file.ts';
import { type CheckedRecord, parseRecordText, recordText } from '../../../daemon/record-text.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { formatAddress } from '../../../wire/address.ts';
import { encodeIdentityRecord } from '../../../wire/records.ts';

const SEED = 1;
const rng = new SeededRng(SEED);

function person(network = 0): Identity {
  return createIdentity(opensslBackend, rng, network);
}

function recordOf(identity: Identity, name: string, sequence = 1): CheckedRecord {
  const record = signIdentityRecord(identity, { sequence, name, tags: [], capabilities: [], homes: [] });
  if (isRecordError(record)) throw new Error(record.reason);
  return { record, bytes: encodeIdentityRecord(record) };
}

function keyOf(identity: Identity): string {
  return toHex(identity.signing.publicKey);
}

class Disk {
  peers: readonly Peer[] = [];
  saves = 0;
  isFull = false;

  save(peers: readonly Peer[]): void {
    if (this.isFull) throw new WarrenError('ERR_WARREN_DISK_FULL', 'full', '');
    this.peers = peers;
    this.saves += 1;
  }
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof WarrenError ? error.code : String(error);
  }
  return 'nothing was thrown';
}

describe('a peer is found', () => {
  const alice = person();
  const book = new PeerBook(0, new Disk());
  book.add({ ...recordOf(alice, 'alice'), endpoints: ['alice.example:4440'], petname: 'al' });

  it('by petname, by the name in its record, by address in either case and by key', () => {
    const address = formatAddress(alice.address);
    for (const text of ['al', 'alice', address, address.toLowerCase(), keyOf(alice), keyOf(alice).toUpperCase()]) {
      expect(book.find(text).key, text).toBe(keyOf(alice));
    }
    expect(book.find('al').name).toEqual({ address, name: 'al', key: keyOf(alice) });
  });

  it('by nothing else', () => {
    for (const text of ['', 'bob', 'AL', 'alice ', '0:0000.0000.0001', keyOf(alice).slice(1), '__proto__']) {
      expect(
        codeOf(() => book.find(text)),
        text,
      ).toBe('ERR_WARREN_UNKNOWN_PEER');
    }
  });
});

describe('a name that several peers answer to', () => {
  it('is an error that shows them, and a petname decides', () => {
    const book = new PeerBook(0, new Disk());
    const [first, second] = [person(), person()];
    book.add({ ...recordOf(first, 'alice'), endpoints: [] });
    book.add({ ...recordOf(second, 'alice'), endpoints: [] });
    expect(() => book.find('alice')).toThrow(
      expect.objectContaining({
        code: 'ERR_WARREN_AMBIGUOUS_PEER',
        message: expect.stringContaining(formatAddress(first.address)),
      }),
    );
    book.add({ ...recordOf(second, 'alice'), endpoints: [], petname: 'alice' });
    expect(book.find('alice').key).toBe(keyOf(second));
    book.remove(keyOf(second));
    expect(book.find('alice').key).toBe(keyOf(first));
  });

  it('is an error too where two keys share an address', () => {
    // Addresses can be ground out; here the record is simply not checked.
    const book = new PeerBook(0, new Disk());
    const [first, second] = [person(), person()];
    const { record, bytes } = recordOf(first, 'first');
    book.add({ record, bytes, endpoints: [] });
    book.add({ record: { ...recordOf(second, 'second').record, address: first.address }, bytes, endpoints: [] });
    expect(codeOf(() => book.find(formatAddress(first.address)))).toBe('ERR_WARREN_AMBIGUOUS_PEER');
    expect(book.find('second').key).toBe(keyOf(second));
  });

  it('cannot be given twice by us', () => {
    const book = new PeerBook(0, new Disk());
    book.add({ ...recordOf(person(), 'a'), endpoints: [], petname: 'friend' });
    expect(codeOf(() => book.add({ ...recordOf(person(), 'b'), endpoints: [], petname: 'friend' }))).toBe(
      'ERR_WARREN_NAME_TAKEN',
    );
    expect(book.size).toBe(1);
  });

  it('is freed when a peer is called otherwise', () => {
    const book = new PeerBook(0, new Disk());
    const alice = person();
    book.add({ ...recordOf(alice, 'alice'), endpoints: [], petname: 'old' });
    book.add({ ...recordOf(alice, 'alice'), endpoints: [], petname: 'new' });
    expect(codeOf(() => book.find('old'))).toBe('ERR_WARREN_UNKNOWN_PEER');
    book.add({ ...recordOf(person(), 'bob'), endpoints: [], petname: 'old' });
    expect(book.find('old').record.name).toBe('bob');
  });
});

describe('a record', () => {
  const alice = person();

  it('gives way to a newer one, from wherever it comes', () => {
    const book = new PeerBook(0, new Disk());
    book.add({ ...recordOf(alice, 'alice', 5), endpoints: ['a:1'], petname: 'al' });
    expect(book.learn(recordOf(alice, 'older', 4))).toBeUndefined();
    expect(book.learn(recordOf(alice, 'alice', 5))).toBeUndefined();
    expect(book.learn(recordOf(person(), 'stranger', 9))).toBeUndefined();
    expect(book.learn(recordOf(alice, 'renamed', 6))).toMatchObject({ endpoints: ['a:1'], petname: 'al' });
    expect(book.find('renamed').key).toBe(keyOf(alice));
    expect(codeOf(() => book.find('alice'))).toBe('ERR_WARREN_UNKNOWN_PEER');
    expect(book.add({ ...recordOf(alice, 'older', 4), endpoints: [] }).record.name).toBe('renamed');
  });

  it('with the same number and other content is refused, and changes nothing', () => {
    const book = new PeerBook(0, new Disk());
    book.add({ ...recordOf(alice, 'alice', 5), endpoints: ['a:1'] });
    expect(codeOf(() => book.add({ ...recordOf(alice, 'other', 5), endpoints: ['b:1'] }))).toBe(
      'ERR_WARREN_RECORD_CONFLICT',
    );
    expect(book.find('alice').endpoints).toEqual(['a:1']);
  });

  it('of another network is refused', () => {
    const book = new PeerBook(0, new Disk());
    expect(codeOf(() => book.add({ ...recordOf(person(7), 'far'), endpoints: [] }))).toBe('ERR_WARREN_NETWORK');
  });

  it('is one line of text, and nothing that was changed is one', () => {
    const { bytes } = recordOf(alice, 'alice');
    const line = recordText(bytes);
    expect(line).toMatch(/^wrr1\.[A-Za-z0-9_-]+$/);
    expect(parseRecordText(opensslBackend, ` ${line}\n`).bytes).toEqual(bytes);
    const changed = `${line.slice(0, 40)}${line[40] === 'A' ? 'B' : 'A'}${line.slice(41)}`;
    for (const wrong of [
      '',
      'wrr1.',
      line.slice(5),
      `${line}!`,
      line.slice(0, -4),
      changed,
      `wrr1.${'A'.repeat(900)}`,
    ]) {
      expect(
        codeOf(() => parseRecordText(opensslBackend, wrong)),
        wrong,
      ).toBe('ERR_WARREN_RECORD');
    }
  });
});

describe('the book', () => {
  it('keeps endpoints and petname unless others are given', () => {
    const book = new PeerBook(0, new Disk());
    const record = recordOf(person(), 'alice');
    book.add({ ...record, endpoints: ['a:1', 'b:2'], petname: 'al' });
    expect(book.add({ ...record, endpoints: [] })).toMatchObject({ endpoints: ['a:1', 'b:2'], petname: 'al' });
    expect(book.add({ ...record, endpoints: ['c:3'] })).toMatchObject({ endpoints: ['c:3'], petname: 'al' });
  });

  it('refuses names and endpoints that are none', () => {
    const book = new PeerBook(0, new Disk());
    const record = recordOf(person(), 'alice');
    expect(codeOf(() => book.add({ ...record, endpoints: [], petname: 'Al!' }))).toBe('ERR_WARREN_NAME');
    expect(codeOf(() => book.add({ ...record, endpoints: ['alice'] }))).toBe('ERR_WARREN_ENDPOINT');
    expect(book.size).toBe(0);
  });

  it('saves every change before it happens: what cannot be saved has not happened', () => {
    const disk = new Disk();
    const book = new PeerBook(0, disk);
    const [alice, bob] = [person(), person()];
    book.add({ ...recordOf(alice, 'alice'), endpoints: [] });
    expect(disk.peers.map((peer) => peer.key)).toEqual([keyOf(alice)]);
    disk.isFull = true;
    expect(codeOf(() => book.add({ ...recordOf(bob, 'bob'), endpoints: [] }))).toBe('ERR_WARREN_DISK_FULL');
    expect(codeOf(() => book.remove(keyOf(alice)))).toBe('ERR_WARREN_DISK_FULL');
    expect(codeOf(() => book.learn(recordOf(alice, 'anna', 2)))).toBe('ERR_WARREN_DISK_FULL');
    expect(book.all.map((peer) => peer.record.name)).toEqual(['alice']);
    disk.isFull = false;
    book.remove(keyOf(alice));
    expect([disk.peers, book.size]).toEqual([[], 0]);
  });

  it('holds so many peers, and so many endpoints of each', () => {
    const book = new PeerBook(0, new Disk());
    const { record, bytes } = recordOf(person(), '');
    const peers = Array.from({ length: PEERS_MAX }, (_, i) => {
      const identityKey = record.identityKey.slice();
      identityKey.set([i >> 8, i & 0xff]);
      return { record: { ...record, identityKey }, bytes, endpoints: [] };
    });
    for (const peer of peers) book.add(peer);
    const one = recordOf(person(), 'one-more');
    expect(codeOf(() => book.add({ ...one, endpoints: [] }))).toBe('ERR_WARREN_LIMIT');
    expect(book.add({ ...peers[0]!, petname: 'known' }).petname).toBe('known');
    book.remove(book.find('known').key);
    const places = Array.from({ length: PEER_ENDPOINTS_MAX + 1 }, (_, i) => `host-${i}:1`);
    expect(codeOf(() => book.add({ ...one, endpoints: places }))).toBe('ERR_WARREN_LIMIT');
    expect(book.add({ ...one, endpoints: places.slice(1) }).endpoints.length).toBe(PEER_ENDPOINTS_MAX);
    expect(book.size).toBe(PEERS_MAX);
  });
});

describe('the book as bytes', () => {
  const peers = ['alice', 'bob'].map((name) =>
    makePeer({ ...recordOf(person(), name), endpoints: [`${name}.example:4440`], petname: name === 'bob' ? 'b' : '' }),
  );
  const text = new TextDecoder().decode(encodePeerBook(peers));

  it('comes back as it was', () => {
    expect(decodePeerBook(opensslBackend, encodePeerBook(peers))).toEqual(peers);
    expect(decodePeerBook(opensslBackend, encodePeerBook([]))).toEqual([]);
  });

  it('is refused whole where anything in it is wrong', () => {
    const line = recordText(peers[0]!.bytes);
    const wrong = [
      '',
      'null',
      '[]',
      text.slice(0, -3),
      text.replace('"version": 1', '"version": 2'),
      text.replace('"petname": "b"', '"petname": 5'),
      text.replace('"endpoints"', '"places"'),
      text.replace(
        line,
        line.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      ),
      text.replaceAll(recordText(peers[1]!.bytes), line),
    ];
    for (const content of wrong) {
      expect(
        codeOf(() => decodePeerBook(opensslBackend, new TextEncoder().encode(content))),
        content,
      ).toBe('ERR_WARREN_PEER_BOOK');
    }
    expect(codeOf(() => decodePeerBook(opensslBackend, Uint8Array.of(0xff)))).toBe('ERR_WARREN_PEER_BOOK');
  });
});
