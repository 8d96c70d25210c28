import { describe, expect, it } from 'vitest';
import { lookUp } from '../../../daemon/lookup.ts';
import { parsePeerEndpoint } from '../../../daemon/peer-endpoint.ts';
import { formatIpEndpoint } from '../../../wire/ip-endpoint.ts';

describe('an endpoint', () => {
  it('is an address and a port', () => {
    for (const text of ['192.0.2.1:4440', '[2001:db8::1]:4440', '[::1]:1', '127.0.0.1:65535']) {
      expect(formatIpEndpoint(parsePeerEndpoint(text).address!)).toBe(text);
    }
    expect(formatIpEndpoint(parsePeerEndpoint('[::ffff:192.0.2.1]:80').address!)).toBe('192.0.2.1:80');
  });

  it('is a name and a port, to be looked up later', () => {
    for (const host of ['alice', 'alice.example', 'Alice-2.example.', 'xn--bcher-kva.example', '4.example']) {
      expect(parsePeerEndpoint(`${host}:4440`)).toEqual({ host, port: 4440, address: undefined });
    }
  });

  it('is nothing else', () => {
    const wrong = [
      '',
      'alice',
      ':4440',
      'alice:',
      'alice:0',
      'alice:65536',
      'alice:4440x',
      'alice:-1',
      'alice :4440',
      '-alice:4440',
      '2001:db8::1:4440',
      '[alice]:4440',
      '[192.0.2.1]:4440',
      '[::1]',
      '192.0.2:4440',
      '256.0.0.1:4440',
      'a..b:4440',
      'http://alice:80',
      `${'a'.repeat(64)}:80`,
      `${'a.'.repeat(127)}a:80`,
      'alice:80\n',
      'al\u0000ice:80',
    ];
    for (const text of wrong) {
      expect(() => parsePeerEndpoint(text), text).toThrow(expect.objectContaining({ code: 'ERR_WARREN_ENDPOINT' }));
    }
  });
});

describe('an endpoint of a peer', () => {
  it.each([
    ['0.0.0.0:4440', 'stands for every address'],
    ['0.1.2.3:4440', 'stands for every address'],
    ['[::]:4440', 'stands for every address'],
    ['[0:0:0:0:0:0:0:0]:4440', 'stands for every address'],
    ['[::ffff:0.0.0.0]:4440', 'stands for every address'],
    ['224.0.0.1:4440', 'multicast'],
    ['239.255.255.255:4440', 'multicast'],
    ['[ff02::1]:4440', 'multicast'],
    ['[::ffff:224.0.0.1]:4440', 'multicast'],
    ['255.255.255.255:4440', 'broadcast'],
    ['[fe80::1]:4440', 'link-local'],
    ['[febf::1]:4440', 'link-local'],
    ['[fe80::1%eth0]:4440', 'link-local'],
    ['[fe80::1%]:4440', 'link-local'],
    ['192.0.2.1:0', 'port 0'],
    ['alice.example:0', 'port 0'],
    ['[::1]:0', 'port 0'],
  ])('is not %s, which is no single node: %s', (text, why) => {
    expect(() => parsePeerEndpoint(text)).toThrow(
      expect.objectContaining({
        code: 'ERR_WARREN_ENDPOINT',
        message: expect.stringContaining(why),
        hint: expect.stringMatching(/\S/),
      }),
    );
  });

  it.each([
    '1.0.0.0:1',
    '223.255.255.255:1',
    '240.0.0.1:1',
    '255.255.255.254:1',
    '[fc00::1]:1',
    '[fec0::1]:1',
    '[::2]:1',
  ])('may be %s', (text) => {
    expect(formatIpEndpoint(parsePeerEndpoint(text).address!)).toBe(text);
  });
});

describe('looking endpoints up', () => {
  const addresses: Record<string, readonly string[]> = {
    one: ['192.0.2.1'],
    blocked: ['0.0.0.0', '::'],
    partly: ['fe80::1', '192.0.2.7'],
    empty: [],
    many: Array.from({ length: 20 }, (_, i) => `2001:db8::${i + 1}`),
  };
  const lookup = (host: string): Promise<readonly string[]> => {
    const found = addresses[host];
    return found === undefined
      ? Promise.reject(Object.assign(new Error(host), { code: 'ENOTFOUND' }))
      : Promise.resolve(found);
  };
  const places = (...texts: string[]) => texts.map(parsePeerEndpoint);

  it('gives at most eight, and the first of each before the second of any', async () => {
    const { remotes, failures } = await lookUp(lookup, places('many:1', 'one:2', '192.0.2.9:3'));
    expect(remotes.map(formatIpEndpoint)).toEqual([
      '[2001:db8::1]:1',
      '192.0.2.1:2',
      '192.0.2.9:3',
      '[2001:db8::2]:1',
      '[2001:db8::3]:1',
      '[2001:db8::4]:1',
      '[2001:db8::5]:1',
      '[2001:db8::6]:1',
    ]);
    expect(failures).toEqual([]);
  });

  it('says which names led nowhere, and goes on with the others', async () => {
    const { remotes, failures } = await lookUp(lookup, places('nowhere:1', 'one:2'));
    expect(remotes.map(formatIpEndpoint)).toEqual(['192.0.2.1:2']);
    expect(failures).toEqual(['nowhere (ENOTFOUND)']);
  });

  it('leaves out what is no single node, and says so where nothing is left', async () => {
    const { remotes, failures } = await lookUp(lookup, places('blocked:1', 'partly:2', 'empty:3'));
    expect(remotes.map(formatIpEndpoint)).toEqual(['192.0.2.7:2']);
    expect(failures).toEqual(['blocked (is 0.0.0.0)', 'empty (ENODATA)']);
  });
});
