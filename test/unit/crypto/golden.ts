/**
 * One identity, its records and its key files, made once by another program than this one, so that no format can drift unnoticed.
 * The signing seed is the bytes 0 … 31, the exchange secret 32 … 63; the network is 7.
 */

export const IDENTITY_KEY = '03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8';
export const STATIC_KEY = '358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254';
/** Under the counters 0, 1, 2 and 3. */
export const NODES: readonly number[] = [0xd0bd_c520, 0x17f4_b57a, 0xd4a2_a216, 0x5826_6b83];

export const IDENTITY_RECORD: string =
  '0101000001a3185c50000007d0bdc5200003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8' +
  '358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd16625405616c6963650203677075056c61622d32' +
  '0208687474702f312e310b77617272656e3a6563686f01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' +
  'aaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb1252656e64657a766f7573' +
  '2e6578616d706c651158cb9361bf62ac7e95fe8d7a7405f37e9ad8c2d5ea30408cd70d734d5c77053588903bdd9b451215' +
  '6f6b55078b98bed2c756cd273295bd4dcd6e74829df43b0b04';

export const ENDPOINT_RECORD: string =
  '0201000001a3185c500103a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8000001a3186577' +
  'c0010304c000020111580620010db8000000000000000000000001115800cccccccccccccccccccccccccccccccccccccc' +
  'cccccccccccccccccccccccccc01020304356c3e8125288307641294c6228d1e8dc67c882d49dfb251a8e3b61fc6f64f37' +
  '61a7222dc0e7a59702cae52933a93fbad3280242b0643c0df527e9e7393f6d07';

export const CLEAR_KEY_FILE: string = `{
  "format": "warren identity",
  "version": 1,
  "address": "7:0007.D0BD.C520",
  "counter": 0,
  "identityKey": "${IDENTITY_KEY}",
  "staticKey": "${STATIC_KEY}",
  "secrets": {
    "protection": "none",
    "signingSeed": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "exchangeSecret": "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
  }
}
`;

export const PASSPHRASE: string = 'caf\u00e9 au lait';

/** Under `PASSPHRASE`, with the salt 64 … 95 and the nonce 96 … 107, at a cost that only a test can afford. */
export const SEALED_KEY_FILE: string = `{
  "format": "warren identity",
  "version": 1,
  "address": "7:0007.D0BD.C520",
  "counter": 0,
  "identityKey": "${IDENTITY_KEY}",
  "staticKey": "${STATIC_KEY}",
  "secrets": {
    "protection": "passphrase",
    "kdf": "scrypt",
    "n": 16,
    "r": 8,
    "p": 1,
    "salt": "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f",
    "cipher": "AES-256-GCM",
    "nonce": "606162636465666768696a6b",
    "sealed": "633619a8e310005c861d554b62afaed28bbd39552ae59b5529ef81515e0253d4847d3b1f05dfc8c7da20b5dad6c1cec456e99f6e8f265f3a940658a8f4266f1c840e28783dab849db1dd6829fb2d4fdd"
  }
}
`;
