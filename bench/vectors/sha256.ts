import type { ScryptCost } from '../../crypto/backend.ts';

/** What is built on SHA-256: FIPS 180, RFC 4231 (HMAC), RFC 5869 (HKDF), RFC 7914 (scrypt). */

interface DigestCase {
  readonly name: string;
  readonly text: string;
  readonly digest: string;
}

/** FIPS 180-2 appendix B.1–B.3, and the empty message of NIST's CAVP file `SHA256ShortMsg.rsp`. */
export const SHA_256: readonly DigestCase[] = [
  { name: 'CAVP Len 0', text: '', digest: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' },
  { name: 'B.1', text: 'abc', digest: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' },
  {
    name: 'B.2',
    text: 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
    digest: '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  },
  {
    name: 'B.3',
    text: 'a'.repeat(1_000_000),
    digest: 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
  },
];

const hexOf = (text: string): string => Array.from(text, (c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');

interface MacCase {
  readonly name: string;
  readonly key: string;
  readonly data: string;
  readonly mac: string;
}

/** RFC 4231 §4.2–§4.8. Test case 5 gives the first 128 bits only. */
export const HMAC_SHA_256: readonly MacCase[] = [
  {
    name: 'test case 1',
    key: '0b'.repeat(20),
    data: hexOf('Hi There'),
    mac: 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  },
  {
    name: 'test case 2',
    key: hexOf('Jefe'),
    data: hexOf('what do ya want for nothing?'),
    mac: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  },
  {
    name: 'test case 3',
    key: 'aa'.repeat(20),
    data: 'dd'.repeat(50),
    mac: '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
  },
  {
    name: 'test case 4',
    key: '0102030405060708090a0b0c0d0e0f10111213141516171819',
    data: 'cd'.repeat(50),
    mac: '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
  },
  {
    name: 'test case 5',
    key: '0c'.repeat(20),
    data: hexOf('Test With Truncation'),
    mac: 'a3b6167473100ee06e0c796c2955552b',
  },
  {
    name: 'test case 6',
    key: 'aa'.repeat(131),
    data: hexOf('Test Using Larger Than Block-Size Key - Hash Key First'),
    mac: '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  },
  {
    name: 'test case 7',
    key: 'aa'.repeat(131),
    data: hexOf(
      'This is a test using a larger than block-size key and a larger than block-size data. ' +
        'The key needs to be hashed before being used by the HMAC algorithm.',
    ),
    mac: '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
  },
];

interface HkdfCase {
  readonly name: string;
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly okm: string;
}

/** RFC 5869 appendix A.1–A.3. */
export const HKDF_SHA_256: readonly HkdfCase[] = [
  {
    name: 'A.1',
    ikm: '0b'.repeat(22),
    salt: '000102030405060708090a0b0c',
    info: 'f0f1f2f3f4f5f6f7f8f9',
    okm: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  },
  {
    name: 'A.2',
    ikm:
      '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f' +
      '303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f',
    salt:
      '606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f' +
      '909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf',
    info:
      'b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf' +
      'e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff',
    okm:
      'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09' +
      'da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
  },
  {
    name: 'A.3',
    ikm: '0b'.repeat(22),
    salt: '',
    info: '',
    okm: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  },
];

interface ScryptCase {
  readonly name: string;
  readonly passphrase: string;
  readonly salt: string;
  readonly cost: ScryptCost;
  readonly output: string;
}

/** RFC 7914 §12, but for the case that takes a gigabyte of memory. */
export const SCRYPT: readonly ScryptCase[] = [
  {
    name: '§12 first',
    passphrase: '',
    salt: '',
    cost: { n: 16, r: 1, p: 1 },
    output:
      '77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17' +
      'e8d3e0fb2e0d3628cf35e20c38d18906',
  },
  {
    name: '§12 second',
    passphrase: 'password',
    salt: 'NaCl',
    cost: { n: 1024, r: 8, p: 16 },
    output:
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830da' +
      'c727afb94a83ee6d8360cbdfa2cc0640',
  },
  {
    name: '§12 third',
    passphrase: 'pleaseletmein',
    salt: 'SodiumChloride',
    cost: { n: 16_384, r: 8, p: 1 },
    output:
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9' +
      'e61e85dc0d651e40dfcf017b45575887',
  },
];
