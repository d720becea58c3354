import { z } from 'zod';
import { nearest } from './nearest.ts';

/** What a JSON value is, with its article, for messages: never the value, which may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'number' ? `the number ${value}` : 'a text';
}

const wanted: Readonly<Record<string, string>> = {
  string: 'a text in double quotes',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object {…}',
  record: 'an object {…}',
};

/** Words one of zod's issues: `what` is wrong, without a full stop, and what to type. `at` is the path of `value` in the file. */
export function showIssue(
  issue: z.core.$ZodIssue,
  place: { schema: z.ZodType; value: unknown; at: readonly string[] },
): { what: string; hint: string } {
  const path = issue.path.map(String);
  const key = `"${[...place.at, ...path].join('.')}"`;
  const value = valueAt(place.value, path);
  if (issue.code === 'unrecognized_keys') return showUnknownKey(issue, place);
  if (value === undefined) return { what: `${key} is missing`, hint: `Add it: ${description(place.schema, path)}` };
  if (issue.code === 'invalid_type') {
    return { what: `${key} is ${kindOf(value)}`, hint: `Write ${wanted[issue.expected] ?? issue.expected}.` };
  }
  if (issue.code === 'too_small' && issue.origin === 'string')
    return { what: `${key} is empty`, hint: description(place.schema, path) };
  if (issue.code === 'too_small')
    return { what: `${key} is ${kindOf(value)}`, hint: `Write at least ${String(issue.minimum)}.` };
  if (issue.code === 'too_big')
    return { what: `${key} is ${kindOf(value)}`, hint: `Write at most ${String(issue.maximum)}.` };
  return { what: `${key} has a wrong form`, hint: description(place.schema, path) };
}

function showUnknownKey(
  issue: z.core.$ZodIssueUnrecognizedKeys,
  place: { schema: z.ZodType; at: readonly string[] },
): { what: string; hint: string } {
  const path = issue.path.map(String);
  const unknown = issue.keys[0] ?? '';
  const known = Object.keys(shapeAt(place.schema, path)).filter((key) => key !== '$schema');
  const meant = nearest(unknown, known);
  return {
    what: `"${[...place.at, ...path, unknown].join('.')}" is not a key that pgrep knows`,
    hint: meant === null ? `Known here: ${known.join(', ')}.` : `Did you mean "${meant}"?`,
  };
}

function shapeAt(schema: z.ZodType, path: readonly string[]): Readonly<Record<string, z.ZodType>> {
  let current: unknown = schema;
  for (const key of ['', ...path]) {
    if (key !== '' && current instanceof z.ZodObject) current = current.shape[key];
    while (current instanceof z.ZodDefault || current instanceof z.ZodOptional) current = current.def.innerType;
  }
  return current instanceof z.ZodObject ? current.shape : {};
}

function description(schema: z.ZodType, path: readonly string[]): string {
  const own = shapeAt(schema, path.slice(0, -1))[path.at(-1) ?? ''];
  return own?.description ?? 'See docs/configuration.md.';
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (current, key) =>
      typeof current === 'object' && current !== null ? (current as Readonly<Record<string, unknown>>)[key] : undefined,
    value,
  );
}
