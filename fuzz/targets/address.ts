import { ascii } from '../../base/bytes.ts';
import type { Address, AddressError } from '../../wire/address.ts';
import {
  formatAddress,
  formatSocketAddress,
  isAddressError,
  parseAddress,
  parseSocketAddress,
} from '../../wire/address.ts';
import { decodeUtf8, encodeUtf8 } from '../../wire/utf8.ts';
import { ACCEPTED, type FuzzTarget, mustRewrite } from '../target.ts';

function addressTarget<T extends Address>(
  name: string,
  corpus: readonly string[],
  parse: (text: string) => T | AddressError,
  format: (address: T) => string,
): FuzzTarget {
  return {
    name,
    corpus: () => corpus.map(ascii),
    check(input) {
      const text = decodeUtf8(input);
      if (text === undefined) return 'not-utf8';
      const address = parse(text);
      if (isAddressError(address)) return address.reason;
      // Either case is read and upper case written; nothing else may differ.
      mustRewrite(encodeUtf8(text.toUpperCase()), ascii(format(address as T)));
      return ACCEPTED;
    },
  };
}

export const ADDRESS: FuzzTarget = addressTarget(
  'address',
  ['0:0000.7F3A.19C2', '65535:FFFF.0000.0100', '2748:0abc.def0.1234'],
  parseAddress,
  formatAddress,
);

export const SOCKET_ADDRESS: FuzzTarget = addressTarget(
  'socket-address',
  ['0:0000.7F3A.19C2:80', '65535:FFFF.FFFF.FFFF:65535', '1:0001.abcd.ef01:0'],
  parseSocketAddress,
  formatSocketAddress,
);
