import type { CryptoBackend } from '../../crypto/backend.ts';
import { runCrossing } from './crossing.ts';
import { runConnect, runOutage } from './outages.ts';
import { REKEY_PACKETS_A_SEED, rekeyFaults, runRekey } from './rekey.ts';
import { runReplay } from './replay.ts';
import { runSwarm } from './swarm.ts';

/** A campaign runs one seed: it gives what it saw, or throws where a rule was broken. */
export interface Campaign {
  readonly about: string;
  readonly run: (seed: number, crypto: CryptoBackend, trace?: (line: string) => void) => CampaignResult;
}

/** Something to print for one seed, with the digest where the run has one. */
export interface CampaignResult {
  readonly digest: string | undefined;
  /** How often each kind of thing happened, for a range of seeds to sum up. */
  readonly counts?: Readonly<Record<string, number>>;
}

export const CAMPAIGNS: Readonly<Record<string, Campaign>> = {
  swarm: {
    about: 'random worlds: chaos, then healing and liveness; every hundredth seed is run twice',
    run: (seed, crypto, trace) => runSwarm({ seed, crypto, ...(trace === undefined ? {} : { trace }) }),
  },
  crossing: {
    about: 'crossing handshakes and restarts without loss: one session within 3 s',
    run: (seed, crypto, trace) => runCrossing(seed, crypto, { trace }),
  },
  lossy: {
    about: 'the same over links that lose up to 30 % in bursts: one session, always',
    run: (seed, crypto, trace) => runCrossing(seed, crypto, { trace, lossy: true }),
  },
  rekey: {
    about: `a new key asked for after every hundred packets at 10 % loss and reordering, ${REKEY_PACKETS_A_SEED} packets a seed`,
    run: (seed, crypto) => {
      const result = runRekey(seed, REKEY_PACKETS_A_SEED, crypto);
      const faults = rekeyFaults(result);
      if (faults.length > 0) throw new Error(faults.join('; '));
      return { ...result, digest: undefined };
    },
  },
  outages: {
    about: 'a cut, a black hole, a suspended or moving side under a transfer: how soon it goes on',
    run: runOutage,
  },
  connects: {
    about: 'one connect a seed where 30 % are lost in bursts: within 60 s',
    run: runConnect,
  },
  replay: {
    about: 'a million replayed packets a seed, from anywhere: none is accepted',
    run: (seed, crypto) => runReplay(seed, 1_000_000, crypto),
  },
};

export function campaignNames(): readonly string[] {
  return Object.keys(CAMPAIGNS);
}
