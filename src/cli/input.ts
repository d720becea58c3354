import { PgrepError } from '../core/error.ts';
import { parseNames, parseTableName } from './names.ts';
import type { TableName } from '../core/route.ts';

/** What the user typed for one command, each value checked when it is asked for. */
export class Input {
  readonly #values: Readonly<Record<string, unknown>>;
  /** Arguments that belong to no option, without the command's own words. */
  readonly arguments: readonly string[];

  constructor(values: Readonly<Record<string, unknown>>, rest: readonly string[]) {
    this.#values = values;
    this.arguments = rest;
  }

  flag(name: string): boolean {
    const value = this.#values[name];
    return Array.isArray(value) ? value.at(-1) === true : value === true;
  }

  /** The option's value; undefined when it was not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    if (Array.isArray(value)) throw usage(`--${name} is given ${value.length} times`, 'Give it once.');
    if (typeof value !== 'string' || value === '') throw usage(`--${name} needs a value`, `Write --${name}=VALUE.`);
    return value;
  }

  /** Every value of an option that may be repeated; undefined when it was not given. */
  texts(name: string): readonly string[] | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
    const written = texts.filter((text) => typeof text === 'string' && text !== '') as string[];
    if (texts.length === 0 || written.length < texts.length)
      throw usage(`--${name} needs a value`, `Write --${name}=VALUE.`);
    return written;
  }

  /** A comma list of names, see `parseNames`. */
  names(name: string): readonly string[] | undefined {
    const texts = this.texts(name);
    return texts === undefined ? undefined : parseNames(texts, name);
  }

  /** The value of an option that takes one of a few words. */
  choice<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    const word = words.find((each) => each === text);
    if (text === undefined || word !== undefined) return word;
    throw usage(`--${name} is ${JSON.stringify(text)}`, `Write one of: ${words.join(', ')}.`);
  }

  /** A whole number of at least `least`. */
  number(name: string, least: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (!(value >= least)) {
      throw usage(`--${name} is ${JSON.stringify(text)}`, `Write a whole number of at least ${least}.`);
    }
    return value;
  }

  /** The table that the first argument names. */
  table(): TableName {
    return parseTableName(this.arguments[0] ?? '');
  }
}

/** `{ name: value }`, or `{}` for undefined: optional properties are left out, not set to undefined. */
export function given<Name extends string, Value>(name: Name, value: Value | undefined): Partial<Record<Name, Value>> {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, Value>);
}

function usage(what: string, hint: string): PgrepError {
  return new PgrepError('usage', `${what}.`, { hint });
}
