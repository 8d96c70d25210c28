import { expect, it } from 'vitest';
import { SECOND } from '../../../base/time.ts';
import { downs, Lab } from './lab.ts';

it('whoever dials chooses the congestion controller for that peer, and what is set for the node holds elsewhere', () => {
  const lab = new Lab({ config: { congestion: 'CUBIC' } });
  const { endpoint } = lab.a.node;
  endpoint.connect(lab.b.keys, [lab.a.node.routeTo(lab.b.address)], lab.now, { congestion: 'BBR' });
  lab.world.network.touch('a');
  lab.converge();
  expect(lab.a.tunnelTo(lab.b)?.congestion?.name).toBe('BBR');
  expect(lab.b.tunnelTo(lab.a)?.congestion?.name).toBe('CUBIC');
});

it('whoever dials chooses how long an answer may be missing', () => {
  const lab = new Lab();
  lab.world.crash(lab.b);
  lab.a.node.endpoint.connect(lab.b.keys, [lab.a.node.routeTo(lab.b.address)], lab.now, { peerTimeout: 3 * SECOND });
  lab.world.network.touch('a');
  lab.run(2.9 * SECOND);
  expect(downs(lab.a)).toEqual([]);
  lab.run(0.2 * SECOND);
  expect(downs(lab.a)).toEqual([{ kind: 'peer-timeout' }]);
});
