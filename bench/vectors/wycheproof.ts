import { fromHex, isZero } from '../../base/bytes.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { Secret } from '../../crypto/secret.ts';
import { differs, type RunSet, type SetReport, Tally } from './report.ts';
import { readShared } from './shared-files.ts';
import { sealAndOpen, verdict } from './transcribed.ts';

/**
 * C2SP/wycheproof, `testvectors_v1`, commit dac1dd4: the cases that real implementations got wrong. Each set's size is fixed
 * here, so that a file that lost some of its cases does not pass.
 */
export const WYCHEPROOF: Readonly<Record<string, RunSet>> = {
  'wycheproof x25519': x25519,
  'wycheproof ed25519': ed25519,
  'wycheproof aes-gcm': aesGcm,
  'wycheproof hkdf-sha256': hkdf,
  'wycheproof hmac-sha256': hmac,
};

type Verdict = 'valid' | 'acceptable' | 'invalid';

interface Case {
  readonly tcId: number;
  readonly result: Verdict;
}

interface SetFile<Group> {
  readonly testGroups: readonly Group[];
}

interface X25519Group {
  readonly tests: readonly (Case & { readonly public: string; readonly private: string; readonly shared: string })[];
}

function x25519(set: string, backend: CryptoBackend): SetReport {
  return runFile<X25519Group>({ set, file: 'x25519', cases: 518 }, backend, (group, tally) => {
    for (const test of group.tests) {
      // "Acceptable" are keys on the twist, not canonical or of low order: RFC 7748 has all of them computed, and its §6.1
      // lets us refuse the zero that comes of the last.
      tally.check(test.tcId, () => {
        const expected = isZero(fromHex(test.shared)) ? undefined : test.shared;
        const pair = backend.x25519(new Secret(fromHex(test.private)));
        return differs('shared secret', pair.diffieHellman(fromHex(test.public)), expected);
      });
    }
  });
}

interface Ed25519Group {
  readonly publicKey: { readonly pk: string };
  readonly tests: readonly (Case & { readonly msg: string; readonly sig: string })[];
}

function ed25519(set: string, backend: CryptoBackend): SetReport {
  return runFile<Ed25519Group>({ set, file: 'ed25519', cases: 151 }, backend, (group, tally) => {
    const publicKey = group.publicKey.pk;
    for (const { tcId, msg, sig, result } of group.tests) {
      const isValid = result === 'valid';
      tally.check(tcId, () => verdict(backend, { publicKey, message: msg, signature: sig, isValid }));
    }
  });
}

interface AesGcmGroup {
  readonly keySize: number;
  readonly ivSize: number;
  readonly tagSize: number;
  readonly tests: readonly (Case & {
    readonly key: string;
    readonly iv: string;
    readonly aad: string;
    readonly msg: string;
    readonly ct: string;
    readonly tag: string;
  })[];
}

function aesGcm(set: string, backend: CryptoBackend): SetReport {
  // Of 316: the others have keys of 128 or 192 bits or other nonces than 96.
  const isInScope = (group: AesGcmGroup) => group.keySize === 256 && group.ivSize === 96 && group.tagSize === 128;
  return runFile<AesGcmGroup>({ set, file: 'aes_gcm', cases: 66, isInScope }, backend, (group, tally) => {
    for (const { tcId, key, iv, aad, msg, ct, tag, result } of group.tests) {
      tally.check(tcId, () => {
        if (result === 'valid') return sealAndOpen(backend, { key, nonce: iv, aad, plaintext: msg, sealed: ct + tag });
        const sealed = fromHex(ct + tag);
        const opened = backend
          .aead(fromHex(key))
          .open(fromHex(iv), fromHex(aad), sealed, new Uint8Array(sealed.length));
        return opened === -1 ? undefined : `opened ${opened} bytes that are not authentic`;
      });
    }
  });
}

interface HkdfGroup {
  readonly tests: readonly (Case & {
    readonly ikm: string;
    readonly salt: string;
    readonly info: string;
    readonly size: number;
    readonly okm: string;
  })[];
}

function hkdf(set: string, backend: CryptoBackend): SetReport {
  return runFile<HkdfGroup>({ set, file: 'hkdf_sha256', cases: 86 }, backend, (group, tally) => {
    for (const { tcId, ikm, salt, info, size, okm, result } of group.tests) {
      tally.check(tcId, () => {
        const output = backend.hkdfSha256(fromHex(ikm), fromHex(salt), fromHex(info), size);
        return differs('okm', output, result === 'valid' ? okm : undefined);
      });
    }
  });
}

interface HmacGroup {
  readonly tagSize: number;
  readonly tests: readonly (Case & { readonly key: string; readonly msg: string; readonly tag: string })[];
}

function hmac(set: string, backend: CryptoBackend): SetReport {
  return runFile<HmacGroup>({ set, file: 'hmac_sha256', cases: 174 }, backend, (group, tally) => {
    for (const { tcId, key, msg, tag, result } of group.tests) {
      tally.check(tcId, () => {
        const mac = backend.hmacSha256(fromHex(key), fromHex(msg)).subarray(0, group.tagSize / 8);
        const wrong = differs('mac', mac, tag);
        if (result === 'valid') return wrong;
        return wrong === undefined ? 'an invalid tag is the right one' : undefined;
      });
    }
  });
}

interface FileDescription<Group> {
  readonly set: string;
  readonly file: string;
  /** Those in scope. */
  readonly cases: number;
  readonly isInScope?: (group: Group) => boolean;
}

function runFile<Group extends { readonly tests: readonly Case[] }>(
  description: FileDescription<Group>,
  backend: CryptoBackend,
  runGroup: (group: Group, tally: Tally) => void,
): SetReport {
  const { set, file, cases, isInScope } = description;
  const name = `wycheproof_${file}_test.json`;
  const content = readShared(name) as SetFile<Group> | undefined;
  if (content === undefined) return { set, backend: backend.name, passed: 0, failures: [], isAbsent: true, note: name };
  const tally = new Tally(set, backend.name);
  let outOfScope = 0;
  for (const group of content.testGroups) {
    if (isInScope?.(group) ?? true) runGroup(group, tally);
    else outOfScope += group.tests.length;
  }
  return tally.reportOf(cases, outOfScope === 0 ? undefined : `${outOfScope} out of scope: other key or nonce sizes`);
}
