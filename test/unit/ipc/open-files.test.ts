import { describe, expect, it } from 'vitest';
import { openFilesMax, parseLimits } from '../../../ipc/open-files.ts';

const limits = (soft: string): string =>
  [
    'Limit                     Soft Limit           Hard Limit           Units     ',
    'Max processes             63474                63474                processes ',
    `Max open files            ${soft.padEnd(20)} 1048576              files     `,
    'Max locked memory         8388608              8388608              bytes     ',
  ].join('\n');

describe('the limit of open files', () => {
  it('is the soft one', () => {
    expect(parseLimits(limits('256'))).toBe(256);
    expect(parseLimits(limits('unlimited'))).toBe(Number.POSITIVE_INFINITY);
  });

  it('is a modest one where the system does not say', () => {
    expect(parseLimits('')).toBe(4_096);
    expect(parseLimits('Max open files  many')).toBe(4_096);
  });

  it('is at least what this test runs with', () => {
    expect(openFilesMax()).toBeGreaterThan(16);
  });
});
