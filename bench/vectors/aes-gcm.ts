/**
 * AES-256-GCM with the 96-bit nonces that our interface has. McGrew and Viega's test cases 17 and 18 use nonces of 64 and 480
 * bits and are left out; in their place stands the first case of each size of NIST's CAVP file `gcmEncryptExtIV256.rsp` with
 * Keylen 256, IVlen 96, Taglen 128.
 */
interface GcmCase {
  readonly name: string;
  readonly key: string;
  readonly nonce: string;
  readonly plaintext: string;
  readonly aad: string;
  readonly ciphertext: string;
  readonly tag: string;
}

const ZERO_KEY = '0000000000000000000000000000000000000000000000000000000000000000';
const ZERO_NONCE = '000000000000000000000000';
const KEY = 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308';
const NONCE = 'cafebabefacedbaddecaf888';

export const AES_256_GCM: readonly GcmCase[] = [
  {
    name: 'test case 13',
    key: ZERO_KEY,
    nonce: ZERO_NONCE,
    plaintext: '',
    aad: '',
    ciphertext: '',
    tag: '530f8afbc74536b9a963b4f1c4cb738b',
  },
  {
    name: 'test case 14',
    key: ZERO_KEY,
    nonce: ZERO_NONCE,
    plaintext: '00000000000000000000000000000000',
    aad: '',
    ciphertext: 'cea7403d4d606b6e074ec5d3baf39d18',
    tag: 'd0d1c8a799996bf0265b98b5d48ab919',
  },
  {
    name: 'test case 15',
    key: KEY,
    nonce: NONCE,
    plaintext:
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525' +
      'b16aedf5aa0de657ba637b391aafd255',
    aad: '',
    ciphertext:
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838' +
      'c5f61e6393ba7a0abcc9f662898015ad',
    tag: 'b094dac5d93471bdec1a502270e3cc6c',
  },
  {
    name: 'test case 16',
    key: KEY,
    nonce: NONCE,
    plaintext:
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525' +
      'b16aedf5aa0de657ba637b39',
    aad: 'feedfacedeadbeeffeedfacedeadbeefabaddad2',
    ciphertext:
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838' +
      'c5f61e6393ba7a0abcc9f662',
    tag: '76fc6ece0f4e1768cddf8853bb2d551b',
  },
  {
    name: 'CAVP PTlen 0, AADlen 0',
    key: 'b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4',
    nonce: '516c33929df5a3284ff463d7',
    plaintext: '',
    aad: '',
    ciphertext: '',
    tag: 'bdc1ac884d332457a1d2664f168c76f0',
  },
  {
    name: 'CAVP PTlen 0, AADlen 128',
    key: '78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223',
    nonce: 'd79cf22d504cc793c3fb6c8a',
    plaintext: '',
    aad: 'b96baa8c1c75a671bfb2d08d06be5f36',
    ciphertext: '',
    tag: '3e5d486aa2e30b22e040b85723a06e76',
  },
  {
    name: 'CAVP PTlen 0, AADlen 720',
    key: '03ccb7dbc7b8425465c2c3fc39ed0593929ffd02a45ff583bd89b79c6f646fe9',
    nonce: 'fd119985533bd5520b301d12',
    plaintext: '',
    aad:
      '98e68c10bf4b5ae62d434928fc6405147c6301417303ef3a703dcfd2c0c339a4d0a89bd29fe61fecf1066ab06d7a5c31' +
      'a48ffbfed22f749b17e9bd0dc1c6f8fbd6fd4587184db964d5456132106d782338c3f117ec05229b0899',
    ciphertext: '',
    tag: 'cf54e7141349b66f248154427810c87a',
  },
  {
    name: 'CAVP PTlen 104, AADlen 160',
    key: '69b458f2644af9020463b40ee503cdf083d693815e2659051ae0d039e606a970',
    nonce: '8d1da8ab5f91ccd09205944b',
    plaintext: 'f3e0e09224256bf21a83a5de8d',
    aad: '036ad5e5494ef817a8af2f5828784a4bfedd1653',
    ciphertext: 'c0a62d77e6031bfdc6b13ae217',
    tag: 'a794a9aaee48cd92e47761bf1baff0af',
  },
  {
    name: 'CAVP PTlen 128, AADlen 0',
    key: '31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22',
    nonce: '0d18e06c7c725ac9e362e1ce',
    plaintext: '2db5168e932556f8089a0622981d017d',
    aad: '',
    ciphertext: 'fa4362189661d163fcd6a56d8bf0405a',
    tag: 'd636ac1bbedd5cc3ee727dc2ab4a9489',
  },
  {
    name: 'CAVP PTlen 128, AADlen 384',
    key: 'e4fed339c7b0cd267305d11ab0d5c3273632e8872d35bdc367a1363438239a35',
    nonce: '0365882cf75432cfd23cbd42',
    plaintext: 'fff39a087de39a03919fbd2f2fa5f513',
    aad: '8a97d2af5d41160ac2ff7dd8ba098e7aa4d618f0f455957d6a6d0801796747ba57c32dfbaaaf15176528fe3a0e4550c9',
    ciphertext: '8d9e68f03f7e5f4a0ffaa7650d026d08',
    tag: '3554542c478c0635285a61d1b51f6afa',
  },
  {
    name: 'CAVP PTlen 256, AADlen 160',
    key: '5853c020946b35f2c58ec427152b840420c40029636adcbb027471378cfdde0f',
    nonce: 'eec313dd07cc1b3e6b068a47',
    plaintext: 'ce7458e56aef9061cb0c42ec2315565e6168f5a6249ffd31610b6d17ab64935e',
    aad: '1389b522c24a774181700553f0246bbabdd38d6f',
    ciphertext: 'eadc3b8766a77ded1a58cb727eca2a9790496c298654cda78febf0da16b6903b',
    tag: '3d49a5b32fde7eafcce90079217ffb57',
  },
  {
    name: 'CAVP PTlen 408, AADlen 0',
    key: '1fded32d5999de4a76e0f8082108823aef60417e1896cf4218a2fa90f632ec8a',
    nonce: '1f3afa4711e9474f32e70462',
    plaintext:
      '06b2c75853df9aeb17befd33cea81c630b0fc53667ff45199c629c8e15dce41e530aa792f796b8138eeab2e86c7b7bee' + '1d40b0',
    aad: '',
    ciphertext:
      '91fbd061ddc5a7fcc9513fcdfdc9c3a7c5d4d64cedf6a9c24ab8a77c36eefbf1c5dc00bc50121b96456c8cd8b6ff1f8b' + '3e480f',
    tag: '30096d340f3d5c42d82a6f475def23eb',
  },
];
