import { PgrepError } from '../core/error.ts';
import type { TableName } from '../core/route.ts';

/** Postgres cuts longer names; a cut name would be looked for in vain. */
const maxNameBytes = 63;

/**
 * Reads `schema.table`; without a schema, `public`. Names are taken as typed, also upper case: only a
 * name that holds a dot, a comma or a quote needs double quotes, `"My Schema"."T.1"`, with `""` for a quote.
 */
export function parseTableName(text: string): TableName {
  const parts = splitOutsideQuotes(text, '.').map((part) => unquote(part, text));
  if (parts.length > 2) {
    throw usage(
      `${JSON.stringify(text)} has ${parts.length} parts`,
      `A table is schema.table; quote a name that has a dot: '"a.b".c'.`,
    );
  }
  const [first, second] = parts;
  if (second === undefined) return { schema: 'public', name: first ?? '' };
  return { schema: first ?? '', name: second };
}

/** Reads lists of names, `a,b,"c,d"`, of an option that may stand several times: `--to a --to b`. */
export function parseNames(texts: readonly string[], option: string): readonly string[] {
  const names = texts.flatMap((text) => splitOutsideQuotes(text, ',').map((part) => unquote(part, text)));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw usage(`--${option} names ${twice} twice`, 'Name each once.');
  return names;
}

/** Reads `source=target` pairs, `a=b,c=d`, of an option that may stand several times. */
export function parseMap(texts: readonly string[]): Readonly<Record<string, string>> {
  const pairs = texts
    .flatMap((text) => splitOutsideQuotes(text, ','))
    .map((pair) => {
      const sides = splitOutsideQuotes(pair, '=').map((side) => unquote(side, pair));
      const [source, target] = sides;
      if (sides.length !== 2 || source === undefined || target === undefined) {
        throw usage(
          `--map has ${JSON.stringify(pair)}`,
          'Write source=target pairs: --map info=note,crt_time=created.',
        );
      }
      return [source, target] as const;
    });
  for (const [side, index] of [
    ['source', 0],
    ['target', 1],
  ] as const) {
    const names = pairs.map((pair) => pair[index]);
    const twice = names.find((name, position) => names.indexOf(name) !== position);
    if (twice !== undefined)
      throw usage(`--map has the ${side} column ${twice} twice`, 'Give each column one partner.');
  }
  return Object.fromEntries(pairs);
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = '';
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    if (char === separator && !quoted) {
      parts.push(part);
      part = '';
    } else part += char;
  }
  if (quoted)
    throw usage(
      `${JSON.stringify(text)} has an opening quote without a closing one`,
      'Close it, and put the whole in single quotes for the shell.',
    );
  return [...parts, part];
}

function unquote(part: string, whole: string): string {
  const bare = part.trim();
  const name = /^"(?:[^"]|"")*"$/.test(bare) ? bare.slice(1, -1).replaceAll('""', '"') : bare;
  if (name === bare && bare.includes('"')) {
    throw usage(
      `${JSON.stringify(whole)} has a quote inside a name`,
      'Quote the whole name and double the quotes in it: \'"a""b"\'.',
    );
  }
  if (name === '')
    throw usage(`${JSON.stringify(whole)} has an empty name`, 'Remove the separator, or write the name.');
  if (Buffer.byteLength(name) > maxNameBytes) {
    throw usage(
      `${JSON.stringify(name)} is longer than ${maxNameBytes} bytes`,
      'Postgres cuts names at 63 bytes: write the name as the database has it.',
    );
  }
  return name;
}

function usage(what: string, hint: string): PgrepError {
  return new PgrepError('usage', `${what}.`, { hint });
}
