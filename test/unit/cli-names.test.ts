import { describe, expect, test } from 'vitest';
import { parseMap, parseNames, parseTableName } from '../../src/cli/names.ts';
import { PgrepError } from '../../src/core/error.ts';

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof PgrepError && error.code === 'usage') return error.message;
    throw error;
  }
  return 'accepted';
}

describe('table names', () => {
  test.each([
    ['local.loc_test', 'local', 'loc_test'],
    ['loc_test', 'public', 'loc_test'],
    ['"My Schema"."T.1"', 'My Schema', 'T.1'],
    ['My Schema.Orders', 'My Schema', 'Orders'],
    ['s."a""b"', 's', 'a"b'],
    ['schéma.表', 'schéma', '表'],
    ['"x".y', 'x', 'y'],
  ])('%s is schema %s, table %s', (text, schema, name) => {
    expect(parseTableName(text)).toEqual({ schema, name });
  });

  test.each([
    ['', '"" has an empty name.'],
    ['.t', '".t" has an empty name.'],
    ['s.', '"s." has an empty name.'],
    ['a.b.c', '"a.b.c" has 3 parts.'],
    ['"a.b', '"\\"a.b" has an opening quote without a closing one.'],
    ['a"b"', '"a\\"b\\"" has a quote inside a name.'],
    [`s.${'x'.repeat(64)}`, `"${'x'.repeat(64)}" is longer than 63 bytes.`],
    [`s.${'表'.repeat(22)}`, `"${'表'.repeat(22)}" is longer than 63 bytes.`],
  ])('%j is refused', (text, message) => {
    expect(refusal(() => parseTableName(text))).toBe(message);
  });
});

describe('lists of names', () => {
  test('may be split by commas, repeated and quoted', () => {
    expect(parseNames(['a, b', '"c,d"'], 'columns')).toEqual(['a', 'b', 'c,d']);
  });

  test('refuse a name that stands twice', () => {
    expect(refusal(() => parseNames(['a', 'b,a'], 'to'))).toBe('--to names a twice.');
  });

  test('refuse an empty name', () => {
    expect(refusal(() => parseNames(['a,'], 'to'))).toBe('"a," has an empty name.');
  });
});

describe('maps of columns', () => {
  test('are pairs of source and target', () => {
    expect(parseMap(['info=note,"a=b"=c', 'x=y'])).toEqual({ info: 'note', 'a=b': 'c', x: 'y' });
  });

  test.each([
    ['info', '--map has "info".'],
    ['a=b=c', '--map has "a=b=c".'],
    ['a=', '"a=" has an empty name.'],
    ['a=b,a=c', '--map has the source column a twice.'],
    ['a=c,b=c', '--map has the target column c twice.'],
  ])('refuse %j', (text, message) => {
    expect(refusal(() => parseMap([text]))).toBe(message);
  });
});
