import { type Measurement, median } from '../report/report.ts';

/** What a benchmark gathers, a round at a time, and what it holds against what. */
export class Figures {
  readonly #all: Map<string, Gathered> = new Map();

  add(name: string, metric: string, unit: string, value: number): void {
    const id = idOf(name, metric);
    const known = this.#all.get(id);
    if (known === undefined) this.#all.set(id, { case: name, metric, unit, rounds: [value], vs: {} });
    else known.rounds.push(value);
  }

  /** The median so far; `undefined` where there is none. */
  of(name: string, metric: string): number | undefined {
    const known = this.#all.get(idOf(name, metric));
    return known && median(known.rounds);
  }

  goal(name: string, metric: string, goal: Goal): void {
    Object.assign(this.#all.get(idOf(name, metric)) ?? {}, goal);
  }

  /** The ratio to another case's figure, under `as`; with a goal for it, in a row of its own as well. Nothing where either is missing. */
  compare(name: string, metric: string, as: string, other: number | undefined, goal?: Goal): void {
    const one = this.#all.get(idOf(name, metric));
    if (one === undefined || other === undefined || other === 0) return;
    const ratio = median(one.rounds) / other;
    one.vs[as] = ratio;
    if (goal === undefined) return;
    const against = `${metric} ÷ ${as}`;
    this.add(name, against, '', ratio);
    this.goal(name, against, goal);
  }

  /** In the order of their first rounds. */
  get measurements(): readonly Measurement[] {
    return [...this.#all.values()];
  }
}

export type Goal = Pick<Measurement, 'atLeast' | 'atMost'>;

interface Gathered extends Measurement {
  readonly rounds: number[];
  readonly vs: Record<string, number>;
}

function idOf(name: string, metric: string): string {
  return `${name}\n${metric}`;
}
