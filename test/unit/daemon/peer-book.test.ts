import { describe, expect, it } from 'vitest';
import { toHex } from '../../../base/bytes.ts';
import { WarrenError } from '../../../base/errors.ts';
import { createIdentity, type Identity, withNextAddress } from '../../../crypto/identity.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { isRecordError, signIdentityRecord } from '../../../crypto/records.ts';
import { type BookOwner, makePeer, PEERS_MAX, type Peer, PeerBook } from '../../../daemon/peer-book.ts';
import { decodePeerBook, encodePeerBook } from '../../../daemon/peer-book-file.ts';
import { type CheckedRecord, parseRecordText, recordText } from '../../../daemon/record-text.ts';
import { PEER_ENDPOINTS_MAX } from '../../../ipc/value-bounds.ts';
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

const me = person();
const SELF: BookOwner = { network: 0, key: keyOf(me), name: 'me' };

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
  const book = new PeerBook(SELF, new Disk());
  book.add({ ...recordOf(alice, 'alice'), endpoints: ['alice.example:4440'], petname: 'al' });

  it('by the name its owner gave it, by address in either case and by key', () => {
    const address = formatAddress(alice.address);
    for (const text of ['al', address, address.toLowerCase(), keyOf(alice), keyOf(alice).toUpperCase()]) {
      expect(book.find(text).key, text).toBe(keyOf(alice));
    }
    expect(book.find('al').name).toEqual({ address, name: 'al', key: keyOf(alice) });
  });

  it('by nothing else, and not by the name in its record', () => {
    for (const text of ['', 'alice', 'bob', 'AL', 'al ', '0:0000.0000.0001', keyOf(alice).slice(1), '__proto__']) {
      expect(
        codeOf(() => book.find(text)),
        text,
      ).toBe('ERR_WARREN_UNKNOWN_PEER');
    }
  });

  it('by the name in the record that was added, where its owner gave it none', () => {
    const bob = person();
    book.add({ ...recordOf(bob, 'bob'), endpoints: [] });
    expect(book.find('bob').name.name).toBe('bob');
    const nobody = person();
    expect(book.add({ ...recordOf(nobody, ''), endpoints: [] }).name.name).toBe('');
    expect(codeOf(() => book.find(''))).toBe('ERR_WARREN_UNKNOWN_PEER');
    expect(book.find(keyOf(nobody)).key).toBe(keyOf(nobody));
  });
});

it('a record is recalled that is in the book byte for byte, and as long as it is', () => {
  const alice = person();
  const book = new PeerBook(SELF, new Disk());
  const entry = recordOf(alice, 'alice');
  expect(book.recall(entry.bytes)).toBeUndefined();
  book.add({ ...entry, endpoints: [] });
  expect(book.recall(entry.bytes.slice())).toBe(entry.record);
  for (const at of [0, entry.bytes.length - 1]) {
    expect(book.recall(entry.bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)))).toBeUndefined();
  }
  expect(book.recall(recordOf(alice, 'alice', 2).bytes)).toBeUndefined();
  book.remove(keyOf(alice));
  expect(book.recall(entry.bytes)).toBeUndefined();
});

describe('an address that two keys share', () => {
  it('is an error that shows them, and a name or a key decides', () => {
    // Addresses can be ground out; here the record is simply not checked.
    const book = new PeerBook(SELF, new Disk());
    const [first, second] = [person(), person()];
    const { record, bytes } = recordOf(first, 'first');
    book.add({ record, bytes, endpoints: [] });
    book.add({ record: { ...recordOf(second, '').record, address: first.address }, bytes, endpoints: [] });
    expect(() => book.find(formatAddress(first.address))).toThrow(
      expect.objectContaining({
        code: 'ERR_WARREN_AMBIGUOUS_PEER',
        message: `2 peers have the address ${formatAddress(first.address)}: first (key ${keyOf(first).slice(0, 16)}…), one (key ${keyOf(second).slice(0, 16)}…)`,
      }),
    );
    expect(book.find('first').key).toBe(keyOf(first));
    expect(book.find(keyOf(second)).key).toBe(keyOf(second));
    book.remove(keyOf(first));
    expect(book.find(formatAddress(first.address)).key).toBe(keyOf(second));
  });
});

describe('a name', () => {
  /** Refused with that message and a hint that leads on; nothing is saved. */
  function expectTaken(disk: Disk, work: () => unknown, message: string): void {
    const { saves } = disk;
    expect(work).toThrow(
      expect.objectContaining({ code: 'ERR_WARREN_NAME_TAKEN', message, hint: expect.stringContaining('--as NAME') }),
    );
    expect(disk.saves).toBe(saves);
  }

  it('is had by one peer only, whoever chose it', () => {
    const disk = new Disk();
    const book = new PeerBook(SELF, disk);
    const [alice, bob, other] = [person(), person(), person()];
    const address = formatAddress(alice.address);
    book.add({ ...recordOf(alice, 'alice'), endpoints: [] });
    const claimed = `that node calls itself alice, which is already what this node calls ${address}`;
    expectTaken(disk, () => book.add({ ...recordOf(other, 'alice'), endpoints: [] }), claimed);
    const given = `alice is already what this node calls ${address}`;
    expectTaken(disk, () => book.add({ ...recordOf(other, 'other'), endpoints: [], petname: 'alice' }), given);
    book.add({ ...recordOf(bob, 'bob'), endpoints: [], petname: 'friend' });
    const petname = `that node calls itself friend, which is already what this node calls ${formatAddress(bob.address)}`;
    expectTaken(disk, () => book.add({ ...recordOf(other, 'friend'), endpoints: [] }), petname);
    // Nobody goes by the name in the record of one that has a petname.
    book.add({ ...recordOf(other, 'bob'), endpoints: [] });
    expect(book.find('bob').key).toBe(keyOf(other));
    expect(book.size).toBe(3);
  });

  it("is not this node's own", () => {
    const disk = new Disk();
    const book = new PeerBook(SELF, disk);
    const claimed = 'that node calls itself me, which is already what this node calls itself';
    expectTaken(disk, () => book.add({ ...recordOf(person(), 'me'), endpoints: [] }), claimed);
    const given = 'me is already what this node calls itself';
    expectTaken(disk, () => book.add({ ...recordOf(person(), 'x'), endpoints: [], petname: 'me' }), given);
    expect(book.add({ ...recordOf(person(), 'me'), endpoints: [], petname: 'you' }).name.name).toBe('you');
    const nameless = new PeerBook({ ...SELF, name: '' }, new Disk());
    for (const peer of [person(), person()]) nameless.add({ ...recordOf(peer, ''), endpoints: [] });
    expect(nameless.size).toBe(2);
  });

  it('stays a peer that has it when that one is added again and its new one is taken', () => {
    const disk = new Disk();
    const book = new PeerBook(SELF, disk);
    const [alice, bob] = [person(), person()];
    book.add({ ...recordOf(alice, 'alice', 1), endpoints: [] });
    book.add({ ...recordOf(bob, 'bob', 1), endpoints: ['b:1'] });
    const message = `that node calls itself alice, which is already what this node calls ${formatAddress(alice.address)}`;
    expectTaken(disk, () => book.add({ ...recordOf(bob, 'alice', 2), endpoints: ['b:2'] }), message);
    expect(book.find('bob')).toMatchObject({ endpoints: ['b:1'], record: { sequence: 1 } });
    expect(book.find('alice').key).toBe(keyOf(alice));
  });

  it('is freed when a peer is called otherwise, or goes', () => {
    const book = new PeerBook(SELF, new Disk());
    const alice = person();
    book.add({ ...recordOf(alice, 'alice'), endpoints: [], petname: 'old' });
    book.add({ ...recordOf(alice, 'alice'), endpoints: [], petname: 'new' });
    expect(codeOf(() => book.find('old'))).toBe('ERR_WARREN_UNKNOWN_PEER');
    book.add({ ...recordOf(person(), 'bob'), endpoints: [], petname: 'old' });
    expect(book.find('old').record.name).toBe('bob');
    book.remove(keyOf(alice));
    expect(book.add({ ...recordOf(person(), 'new'), endpoints: [] }).name.name).toBe('new');
  });
});

describe('a record', () => {
  const alice = person();

  it('gives way to a newer one, from wherever it comes', () => {
    const book = new PeerBook(SELF, new Disk());
    book.add({ ...recordOf(alice, 'alice', 5), endpoints: ['a:1'], petname: 'al' });
    expect(book.learn(recordOf(alice, 'older', 4))).toBeUndefined();
    expect(book.learn(recordOf(alice, 'alice', 5))).toBeUndefined();
    expect(book.learn(recordOf(person(), 'stranger', 9))).toBeUndefined();
    expect(book.learn(recordOf(alice, 'renamed', 6))).toMatchObject({ endpoints: ['a:1'], record: { sequence: 6 } });
    expect(book.find('al').record.name).toBe('renamed');
    expect(book.add({ ...recordOf(alice, 'older', 4), endpoints: [] }).record.name).toBe('renamed');
  });

  it('that is learned changes no address: another one might be the one of another peer', () => {
    const disk = new Disk();
    const book = new PeerBook(SELF, disk);
    book.add({ ...recordOf(alice, 'alice', 1), endpoints: [] });
    const { saves } = disk;
    const moved = withNextAddress(opensslBackend, alice)!;
    expect(book.learn(recordOf(moved, 'alice', 2))).toBeUndefined();
    expect([disk.saves, book.find(formatAddress(alice.address)).key]).toEqual([saves, keyOf(alice)]);
    expect(codeOf(() => book.find(formatAddress(moved.address)))).toBe('ERR_WARREN_UNKNOWN_PEER');
  });

  it('that is learned changes no name, and lets others have the one that it claims', () => {
    const disk = new Disk();
    const book = new PeerBook(SELF, disk);
    const bob = person();
    book.add({ ...recordOf(bob, 'bob', 1), endpoints: [] });
    for (const [i, claim] of ['robert', 'me', ''].entries()) {
      book.learn(recordOf(bob, claim, i + 2));
      expect(book.find('bob')).toMatchObject({ record: { name: claim }, name: { name: 'bob' } });
      if (claim !== '')
        expect(
          codeOf(() => book.find(claim)),
          claim,
        ).toBe('ERR_WARREN_UNKNOWN_PEER');
      expect(disk.peers[0]?.name.name).toBe('bob');
    }
    const robert = person();
    book.add({ ...recordOf(robert, 'robert'), endpoints: [] });
    expect(book.find('robert').key).toBe(keyOf(robert));
  });

  it('gives its name to the peer once its owner adds it, unless that has a petname', () => {
    const book = new PeerBook(SELF, new Disk());
    const [bob, carol] = [person(), person()];
    book.add({ ...recordOf(bob, 'bob', 1), endpoints: [] });
    book.add({ ...recordOf(carol, 'carol', 1), endpoints: [], petname: 'caz' });
    for (const [peer, name] of [
      [bob, 'robert'],
      [carol, 'karoline'],
    ] as const) {
      book.learn(recordOf(peer, name, 2));
      book.add({ ...recordOf(peer, name, 2), endpoints: [] });
    }
    expect(book.all.map(({ name: { name } }) => name).sort()).toEqual(['caz', 'robert']);
    expect(codeOf(() => book.find('bob'))).toBe('ERR_WARREN_UNKNOWN_PEER');
    // What is in the owner's hands decides, not what the peer has said meanwhile.
    book.learn(recordOf(bob, 'bert', 3));
    book.add({ ...recordOf(bob, 'robert', 2), endpoints: [] });
    expect(book.find('robert').record.name).toBe('bert');
  });

  it("that is this node's own is refused", () => {
    const book = new PeerBook(SELF, new Disk());
    expect(codeOf(() => book.add({ ...recordOf(me, 'me'), endpoints: [] }))).toBe('ERR_WARREN_OWN_RECORD');
    expect(codeOf(() => book.add({ ...recordOf(me, 'me'), endpoints: [], petname: 'myself' }))).toBe(
      'ERR_WARREN_OWN_RECORD',
    );
    expect(book.size).toBe(0);
  });

  it('with the same number and other content is refused, and changes nothing', () => {
    const book = new PeerBook(SELF, new Disk());
    book.add({ ...recordOf(alice, 'alice', 5), endpoints: ['a:1'] });
    expect(codeOf(() => book.add({ ...recordOf(alice, 'other', 5), endpoints: ['b:1'] }))).toBe(
      'ERR_WARREN_RECORD_CONFLICT',
    );
    expect(book.find('alice').endpoints).toEqual(['a:1']);
  });

  it('of another network is refused', () => {
    const book = new PeerBook(SELF, new Disk());
    expect(codeOf(() => book.add({ ...recordOf(person(7), 'far'), endpoints: [] }))).toBe('ERR_WARREN_NETWORK');
  });

  it('has one text: bits behind its last byte are zero', () => {
    const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    // Each name is a byte longer, so that the last character holds 6, 4 and 2 bits of the record.
    for (const name of ['a', 'ab', 'abc']) {
      const { bytes } = recordOf(alice, name);
      const line = recordText(bytes);
      const last = ALPHABET.indexOf(line.at(-1)!);
      const spare = [0, 4, 2][bytes.length % 3]!;
      for (let bits = 1; bits < 2 ** spare; bits++) {
        const other = `${line.slice(0, -1)}${ALPHABET[last ^ bits]}`;
        expect(Buffer.from(other.slice(5), 'base64url').equals(bytes)).toBe(true);
        expect(codeOf(() => parseRecordText(opensslBackend, other))).toBe('ERR_WARREN_RECORD');
      }
      expect(parseRecordText(opensslBackend, `\r\n\t ${line} \n`).bytes).toEqual(bytes);
    }
  });

  it('is one line of text, and nothing that was changed is one', () => {
    const { bytes } = recordOf(alice, 'alice');
    const line = recordText(bytes);
    expect(line).toMatch(/^wrr1\.[A-Za-z0-9_-]+$/);
    expect(parseRecordText(opensslBackend, ` ${line}\n`).bytes).toEqual(bytes);
    const changed = `${line.slice(0, 40)}${line[40] === 'A' ? 'B' : 'A'}${line.slice(41)}`;
    const [head, tail] = [line.slice(0, 100), line.slice(100)];
    for (const wrong of [
      '',
      'wrr1.',
      line.slice(5),
      `${line}!`,
      line.slice(0, -4),
      changed,
      `wrr1.${'A'.repeat(900)}`,
      `${head}\n${tail}`,
      `${head} ${tail}`,
      `${line}=`,
      line + ' '.repeat(1_024),
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
    const book = new PeerBook(SELF, new Disk());
    const record = recordOf(person(), 'alice');
    book.add({ ...record, endpoints: ['a:1', 'b:2'], petname: 'al' });
    expect(book.add({ ...record, endpoints: [] })).toMatchObject({ endpoints: ['a:1', 'b:2'], name: { name: 'al' } });
    expect(book.add({ ...record, endpoints: ['c:3'] })).toMatchObject({ endpoints: ['c:3'], name: { name: 'al' } });
  });

  it('refuses names and endpoints that are none', () => {
    const book = new PeerBook(SELF, new Disk());
    const record = recordOf(person(), 'alice');
    for (const petname of ['Al!', '', 'a'.repeat(64), '\u001b[2J']) {
      expect(
        codeOf(() => book.add({ ...record, endpoints: [], petname })),
        petname,
      ).toBe('ERR_WARREN_ARGUMENT');
    }
    expect(codeOf(() => book.add({ ...record, endpoints: ['alice'] }))).toBe('ERR_WARREN_ENDPOINT');
    expect(book.size).toBe(0);
  });

  it('saves every change before it happens: what cannot be saved has not happened', () => {
    const disk = new Disk();
    const book = new PeerBook(SELF, disk);
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
    const book = new PeerBook(SELF, new Disk());
    const { record, bytes } = recordOf(person(), '');
    const peers = Array.from({ length: PEERS_MAX }, (_, i) => {
      const identityKey = record.identityKey.slice();
      identityKey.set([i >> 8, i & 0xff]);
      return { record: { ...record, identityKey }, bytes, endpoints: [] };
    });
    for (const peer of peers) book.add(peer);
    const one = recordOf(person(), 'one-more');
    expect(codeOf(() => book.add({ ...one, endpoints: [] }))).toBe('ERR_WARREN_LIMIT');
    expect(book.add({ ...peers[0]!, petname: 'known' }).name.name).toBe('known');
    book.remove(book.find('known').key);
    const places = Array.from({ length: PEER_ENDPOINTS_MAX + 1 }, (_, i) => `host-${i}:1`);
    expect(codeOf(() => book.add({ ...one, endpoints: places }))).toBe('ERR_WARREN_LIMIT');
    expect(book.add({ ...one, endpoints: places.slice(1) }).endpoints.length).toBe(PEER_ENDPOINTS_MAX);
    expect(book.size).toBe(PEERS_MAX);
  });
});

describe('the book as bytes', () => {
  const peers = ['alice', 'bob'].map((name) =>
    makePeer({
      ...recordOf(person(), name),
      endpoints: [`${name}.example:4440`],
      name: name === 'bob' ? 'b' : name,
      hasPetname: name === 'bob',
    }),
  );
  const text = new TextDecoder().decode(encodePeerBook(peers));
  const decode = (content: string): readonly Peer[] =>
    decodePeerBook(opensslBackend, new TextEncoder().encode(content), SELF.name);

  it('comes back as it was', () => {
    expect(decode(text)).toEqual(peers);
    expect(decodePeerBook(opensslBackend, encodePeerBook([]), '')).toEqual([]);
    const nameless = makePeer({ ...recordOf(person(), 'claim'), endpoints: [], name: '', hasPetname: false });
    expect(decodePeerBook(opensslBackend, encodePeerBook([nameless]), '')).toEqual([nameless]);
  });

  it('is refused whole where anything in it is wrong', () => {
    const line = recordText(peers[0]!.bytes);
    const wrong = [
      '',
      'null',
      '[]',
      text.slice(0, -3),
      text.replace('"version": 2', '"version": 3'),
      text.replace('"version": 2', '"version": 1'),
      text.replace('"name": "b"', '"name": 5'),
      text.replace('"name": "b"', '"name": "B"'),
      text.replace('"name": "b"', '"name": ""'),
      text.replace('"name": "b"', '"name": "alice"'),
      text.replace('"hasPetname": true', '"hasPetname": "b"'),
      text.replace('"hasPetname": true,', ''),
      text.replace('"endpoints"', '"places"'),
      text.replace(
        line,
        line.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      ),
      text.replaceAll(recordText(peers[1]!.bytes), line),
    ];
    for (const content of wrong) {
      expect(
        codeOf(() => decode(content)),
        content,
      ).toBe('ERR_WARREN_PEER_BOOK');
    }
    expect(codeOf(() => decodePeerBook(opensslBackend, Uint8Array.of(0xff), ''))).toBe('ERR_WARREN_PEER_BOOK');
  });

  it('comes back without an endpoint that would not be taken today, and says whose that was', () => {
    const disk = new Disk();
    const told: string[] = [];
    const store = {
      save: (all: readonly Peer[]) => disk.save(all),
      endpointLeftOut: (peer: Peer, error: WarrenError) =>
        told.push(`${peer.name.name}: ${error.code} ${error.message}`),
    };
    const earlier = { ...peers[0]!, endpoints: ['0.0.0.0:4440', '192.0.2.1:4440', '239.0.0.1:1'] };
    const book = new PeerBook(SELF, store, [earlier, peers[1]!]);
    expect(book.get(earlier.key)).toEqual({ ...earlier, endpoints: ['192.0.2.1:4440'] });
    expect(book.get(peers[1]!.key)).toEqual(peers[1]);
    const left = 'alice: ERR_WARREN_ENDPOINT alice was saved with an endpoint that is left out';
    expect(told).toEqual([
      expect.stringContaining(`${left}: "0.0.0.0:4440" cannot be an endpoint`),
      expect.stringContaining(`${left}: "239.0.0.1:1" cannot be an endpoint`),
    ]);
    // Reading changes no file; with the next change it is gone there too.
    expect(disk.saves).toBe(0);
    book.remove(peers[1]!.key);
    expect(disk.peers).toEqual([{ ...earlier, endpoints: ['192.0.2.1:4440'] }]);
  });

  it('lets no peer have the name that this node has taken since', () => {
    const renamed = { ...SELF, name: 'alice' };
    expect(() => new PeerBook(renamed, new Disk(), decode(text))).toThrow(
      expect.objectContaining({
        code: 'ERR_WARREN_NAME_TAKEN',
        message: `this node cannot be called alice, which is what it calls ${peers[0]!.name.address}`,
        hint: expect.stringContaining('--name'),
      }),
    );
  });

  it('does not hold the node whose book it is, though the file may', () => {
    const own = makePeer({ ...recordOf(me, 'me'), endpoints: [], name: 'myself', hasPetname: true });
    expect(new PeerBook(SELF, new Disk(), [...peers, own]).all).toEqual(peers);
  });
});

describe('the book as bytes of version 1, which held no names', () => {
  interface Line {
    readonly petname?: string;
    readonly record: string;
  }

  function read(lines: readonly Line[]): readonly (readonly [string, boolean])[] {
    const entries = lines.map(({ petname = '', record }) => {
      return { petname, endpoints: ['a.example:1'], record: recordText(recordOf(person(), record).bytes) };
    });
    const bytes = new TextEncoder().encode(JSON.stringify({ version: 1, peers: entries }));
    const peers = decodePeerBook(opensslBackend, bytes, SELF.name);
    expect(new PeerBook(SELF, new Disk(), peers).all).toEqual(peers);
    expect(peers.map(({ record, endpoints }) => [record.name, endpoints])).toEqual(
      lines.map(({ record }) => [record, ['a.example:1']]),
    );
    return peers.map(({ name, hasPetname }) => [name.name, hasPetname] as const);
  }

  it('fixes the names that led to peers', () => {
    expect(read([{ record: 'alice' }, { petname: 'b', record: 'bob' }, { record: '' }])).toEqual([
      ['alice', false],
      ['b', true],
      ['', false],
    ]);
  });

  it('gives none to those whose name led elsewhere or to an error', () => {
    // Twice the same; that of this node; another's petname, before and behind it.
    expect(read([{ record: 'alice' }, { record: 'alice' }, { record: 'me' }])).toEqual([
      ['', false],
      ['', false],
      ['', false],
    ]);
    expect(read([{ record: 'b' }, { petname: 'b', record: 'bob' }, { record: 'b' }, { record: 'bob' }])).toEqual([
      ['', false],
      ['b', true],
      ['', false],
      ['bob', false],
    ]);
    expect(read([{ petname: 'me', record: 'bob' }])).toEqual([['', false]]);
  });

  it('is version 2 as soon as anything changes, so that the names stay', () => {
    const identity = person();
    const line = recordText(recordOf(identity, 'bob', 1).bytes);
    const bytes = new TextEncoder().encode(
      JSON.stringify({ version: 1, peers: [{ petname: '', endpoints: [], record: line }] }),
    );
    const disk = new Disk();
    const book = new PeerBook(SELF, disk, decodePeerBook(opensslBackend, bytes, SELF.name));
    book.learn(recordOf(identity, 'robert', 2));
    const again = decodePeerBook(opensslBackend, encodePeerBook(disk.peers), SELF.name);
    expect(again.map(({ name, record }) => [name.name, record.name])).toEqual([['bob', 'robert']]);
  });

  it('is refused whole where anything in it is wrong', () => {
    const record = recordText(recordOf(person(), 'bob').bytes);
    for (const entry of [{ petname: 5 }, { petname: 'B!' }, { petname: '', record: 'wrr1.AAAA' }, {}]) {
      const content = JSON.stringify({ version: 1, peers: [{ endpoints: [], record, ...entry }] });
      expect(codeOf(() => decodePeerBook(opensslBackend, new TextEncoder().encode(content), ''))).toBe(
        'ERR_WARREN_PEER_BOOK',
      );
    }
    expect(
      codeOf(() =>
        read([
          { petname: 'b', record: 'x' },
          { petname: 'b', record: 'y' },
        ]),
      ),
    ).toBe('ERR_WARREN_PEER_BOOK');
  });
});
