import { describe, expect, it } from 'vitest';
import { SharedQuota } from '../../../ipc/shared-quota.ts';

function fill(quota: SharedQuota, standing: 'owner' | 'app'): number {
  let count = 0;
  for (; quota.hasRoom(standing); count++) quota.add(standing);
  return count;
}

describe('a quota that is shared', () => {
  it('keeps the last for the owner, whatever apps do', () => {
    const quota = new SharedQuota(8, 3);
    expect(fill(quota, 'app')).toBe(5);
    expect(fill(quota, 'owner')).toBe(3);
    expect(fill(quota, 'app')).toBe(0);
  });

  it('is all the owner’s where nobody else is there', () => {
    const quota = new SharedQuota(8, 3);
    expect(fill(quota, 'owner')).toBe(8);
    expect(quota.hasRoom('app')).toBe(false);
    quota.remove('owner');
    expect(fill(quota, 'app')).toBe(1);
  });

  it('gives what is given back to whoever may have it', () => {
    const quota = new SharedQuota(8, 3);
    fill(quota, 'app');
    fill(quota, 'owner');
    quota.remove('owner');
    expect(quota.hasRoom('app')).toBe(false);
    expect(quota.hasRoom('owner')).toBe(true);
    quota.remove('app');
    expect(quota.hasRoom('app')).toBe(true);
    expect([quota.maxFor('app'), quota.maxFor('owner')]).toEqual([5, 8]);
  });
});
