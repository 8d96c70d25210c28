import { type Daemon, type DaemonOptions, type Outcome, type Program, World } from './support.ts';

export const MEGABYTE = 1_000_000;
const PORT = 5_000;

/** A daemon, a program of its, and what they are called. */
export interface Side {
  readonly name: string;
  readonly daemon: Daemon;
  readonly program: Program;
}

/** One end of a stream that is in the middle of being written and read. */
export interface End extends Side {
  readonly stream: number;
  /** Settles once the stream is over at this end. */
  readonly outcome: Promise<Outcome>;
}

/** Two daemons, each with a program, whose streams never come to an end by themselves. */
export class Transfers {
  readonly world: World;
  readonly sides: readonly [Side, Side];

  private constructor(world: World, sides: readonly [Side, Side]) {
    this.world = world;
    this.sides = sides;
  }

  static async open(options: DaemonOptions = {}): Promise<Transfers> {
    const world = new World();
    const daemons = await world.pair(options);
    const [a, b] = await Promise.all(
      daemons.map(async (daemon) => ({ name: daemon.name, daemon, program: await world.program(daemon) })),
    );
    return new Transfers(world, [a!, b!]);
  }

  /**
   * A stream between the two, dialled by the side of that index, in the middle: both have read more than any first window or
   * early data carries. In the order of the sides.
   */
  async begin(dialler: 0 | 1): Promise<readonly [End, End]> {
    const [near, far] = dialler === 0 ? this.sides : ([this.sides[1], this.sides[0]] as const);
    await far.program.do('listen', { port: PORT, how: 'both' });
    const [dialled, taken] = await Promise.all([
      near.program.do('dial', { peer: far.name, port: PORT, how: 'both' }),
      far.program.do('taken', { port: PORT }),
    ]);
    const ends = await Promise.all([endOf(near, dialled.stream), endOf(far, taken.stream)]);
    await far.program.do('unlisten', { port: PORT });
    return dialler === 0 ? ends : [ends[1], ends[0]];
  }

  /** The same daemons, with another program in the place of one that is gone. */
  with(sides: readonly [Side, Side]): Transfers {
    return new Transfers(this.world, sides);
  }

  close(): Promise<void> {
    return this.world.clear();
  }
}

async function endOf(side: Side, stream: number): Promise<End> {
  while ((await side.program.do('moved', { stream })).read < 2 * MEGABYTE);
  return { ...side, stream, outcome: side.program.do('outcome', { stream }) };
}
