import type { ControlMap, ControlValue } from '../wire/cbor.ts';
import { cutUtf8, utf8Length } from '../wire/utf8.ts';

/**
 * What a control value has to look like, said once and used both ways: `write` makes it from a closed typed value, `read` the
 * typed value from it. Neither throws. Reading builds fresh objects of the keys that are described, so that unknown keys fall
 * away and no key of a sender's choosing becomes a property.
 */
export interface Shape<T> {
  /** As a sentence says it: "… has to be" this. */
  readonly what: string;
  read(value: ControlValue | undefined): T | Invalid;
  /** `undefined` leaves the key out. */
  write(value: T): ControlValue | undefined | Invalid;
}

/** A value that has not the shape: where in it, and what should be there. */
export class Invalid {
  readonly #path: string;
  readonly #what: string;

  constructor(what: string, path = '') {
    this.#what = what;
    this.#path = path;
  }

  within(key: string): Invalid {
    return new Invalid(this.#what, this.#path === '' ? key : `${key}.${this.#path}`);
  }

  /** One sentence for whoever wrote the program. It does not repeat what was sent. */
  get message(): string {
    return `${this.#path === '' ? 'this' : this.#path} has to be ${this.#what}`;
  }
}

function leaf<T extends ControlValue>(what: string, fits: (value: ControlValue | undefined) => value is T): Shape<T> {
  const invalid = new Invalid(what);
  const check = (value: ControlValue | undefined): T | Invalid => (fits(value) ? value : invalid);
  return { what, read: check, write: check };
}

export function whole(least: number, most: number): Shape<number> {
  return leaf(
    `a whole number from ${least} to ${most}`,
    (value): value is number => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
  );
}

/** What a node has measured or counted. It is not for us to fail where its clock gives fractions. */
export const COUNT: Shape<number> = {
  ...whole(0, Number.MAX_SAFE_INTEGER),
  write: (value) => Math.min(Math.max(Math.floor(value) || 0, 0), Number.MAX_SAFE_INTEGER),
};

export const FLAG: Shape<boolean> = leaf('true or false', (value): value is boolean => typeof value === 'boolean');

/** UTF-8 never takes less than a byte for a UTF-16 unit, nor more than three. */
function fitsUtf8(text: string, most: number): boolean {
  return text.length * 3 <= most || (text.length <= most && utf8Length(text) <= most);
}

export function text(least: number, most: number): Shape<string> {
  return leaf(
    `a text of ${least} to ${most} bytes`,
    (value): value is string => typeof value === 'string' && value.length >= least && fitsUtf8(value, most),
  );
}

/** A text for people, or one that others wrote: what is too long is cut. */
export function prose(most: number): Shape<string> {
  return { ...text(0, most), write: (value) => (fitsUtf8(value, most) ? value : cutUtf8(value, most)) };
}

/** Always the same. */
export function word<T extends string>(only: T): Shape<T> {
  return leaf(only, (value): value is T => value === only);
}

export function matching<T extends string>(what: string, pattern: RegExp): Shape<T> {
  return leaf(what, (value): value is T => typeof value === 'string' && pattern.test(value));
}

export function bytes(most: number): Shape<Uint8Array> {
  return leaf(
    `at most ${most} bytes`,
    (value): value is Uint8Array => value instanceof Uint8Array && value.length <= most,
  );
}

/** A closed set of values, each with a word for it. */
export function oneOf<T extends number | string>(words: Readonly<Record<string, T>>): Shape<T> {
  const known = new Map(Object.entries(words));
  const wordOf = new Map(Object.entries(words).map(([word, value]) => [value, word]));
  const what = `one of ${[...known.keys()].join(', ')}`;
  const invalid = new Invalid(what);
  return {
    what,
    read: (value) => (typeof value === 'string' ? (known.get(value) ?? invalid) : invalid),
    write: (value) => wordOf.get(value) ?? invalid,
  };
}

export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return {
    what: `${shape.what}, or left out`,
    read: (value) => (value === undefined ? undefined : shape.read(value)),
    write: (value) => (value === undefined ? undefined : shape.write(value)),
  };
}

export function list<T>(item: Shape<T>, most: number): Shape<readonly T[]> {
  const what = `a list of at most ${most}, each ${item.what}`;
  const invalid = new Invalid(what);
  return {
    what,
    read(value) {
      if (!Array.isArray(value) || value.length > most) return invalid;
      return mapAll(value as readonly ControlValue[], (one) => item.read(one));
    },
    write(values) {
      return values.length > most ? invalid : mapAll(values, (value) => item.write(value) as ControlValue | Invalid);
    },
  };
}

/** Of what others made longer than expected, the first: it is shown to people. */
export function firstOf<T>(item: Shape<T>, most: number): Shape<readonly T[]> {
  const strict = list(item, most);
  return { ...strict, write: (values) => strict.write(values.slice(0, most)) };
}

function mapAll<A, B>(items: readonly A[], map: (item: A) => B | Invalid): B[] | Invalid {
  const mapped: B[] = [];
  for (const [index, item] of items.entries()) {
    const value = map(item);
    if (value instanceof Invalid) return value.within(String(index));
    mapped.push(value);
  }
  return mapped;
}

/** Counts by name. `Object.fromEntries` defines its properties and never assigns, so `__proto__` is a name like any other. */
export function counts(most: number): Shape<Readonly<Record<string, number>>> {
  const what = `a map of at most ${most} names to counts`;
  const invalid = new Invalid(what);
  return {
    what,
    read(value) {
      if (!(value instanceof Map) || value.size > most) return invalid;
      const entries = [...(value as ControlMap)];
      if (!entries.every(([, count]) => Number.isSafeInteger(count))) return invalid;
      return Object.fromEntries(entries as [string, number][]);
    },
    write(value) {
      const entries = Object.entries(value).slice(0, most);
      return new Map(
        entries.map(([name, count]) => [cutUtf8(name, COUNT_NAME_BYTES_MAX), COUNT.write(count)]),
      ) as ControlMap;
    },
  };
}

const COUNT_NAME_BYTES_MAX = 48;

export type Shapes<T> = { readonly [K in keyof T]-?: Shape<T[K]> };

/** A map with these keys, which are ASCII. They are written in the order of their encoding, so that little is left to sort. */
export function fields<T extends object>(shapes: Shapes<T>): Shape<T> {
  const keys = Object.keys(shapes).sort() as (keyof T & string)[];
  keys.sort((a, b) => a.length - b.length);
  return {
    what: 'a map',
    read(value) {
      if (!(value instanceof Map)) return new Invalid('a map');
      const made: Partial<T> = {};
      for (const key of keys) {
        const field = shapes[key].read((value as ControlMap).get(key));
        if (field instanceof Invalid) return field.within(key);
        made[key] = field;
      }
      return made as T;
    },
    write(value) {
      const map = new Map<string, ControlValue>();
      for (const key of keys) {
        const field = shapes[key].write(value[key]);
        if (field instanceof Invalid) return field.within(key);
        if (field !== undefined) map.set(key, field);
      }
      return map;
    },
  };
}
