import { describe, expect, test } from 'vitest';
import type { ColumnDescription, TableDescription, TypeDescription } from '../../src/db/table-description.ts';
import { documentsCopy, keysOfIdsCopy } from '../../src/targets/elasticsearch/copy-statement.ts';
import { fieldOf } from '../../src/targets/elasticsearch/field-type.ts';
import { durationSeconds, indexBodyFor } from '../../src/targets/elasticsearch/index-setup.ts';
import { missingFields } from '../../src/targets/elasticsearch/mapping.ts';
import type { ChangedTable } from '../../src/targets/target.ts';

function type(name: string, given: Partial<TypeDescription> = {}): TypeDescription {
  return {
    oid: '0',
    schema: 'pg_catalog',
    name,
    sql: name,
    kind: 'base',
    hasArray: true,
    of: null,
    labels: [],
    attributes: [],
    ...given,
  };
}

function column(name: string, of: TypeDescription): ColumnDescription {
  return {
    name,
    number: 1,
    type: of,
    typmod: -1,
    formattedType: of.sql,
    collation: null,
    deterministic: true,
    notNull: true,
    generated: 'no',
    identity: 'no',
    defaultExpression: null,
  };
}

const columns = [
  column('pk1', type('int4')),
  column('pk2', type('text')),
  column('info', type('text')),
  column('crt_time', type('timestamptz')),
  column('amount', type('numeric')),
  column('data', type('json')),
];
const route = {
  sourceTable: { schema: 'local', name: 'loc_test' },
  targetTable: { schema: '', name: 'loc_test' },
  key: ['pk1', 'pk2'],
  columns: columns.map(({ name }) => ({
    source: name,
    target: name === 'info' ? 'note' : name,
    type: '',
    typeOid: '',
  })),
};
const shape = {
  key: route.key.flatMap((name) => columns.filter((c) => c.name === name).map((found) => ({ name, column: found }))),
  fields: columns.map((c) => ({ source: c.name, target: c.name, type: fieldOf(c) })),
};
const changed = {
  keys: 'select pk1, pk2 from changed',
  rows: '(select * from local.loc_test)',
  sweep: false,
} as unknown as ChangedTable;

describe('what is shown and sent', () => {
  test('the body that makes the index', async () => {
    const body = JSON.stringify(indexBodyFor(route, { columns } as unknown as TableDescription), null, 2);
    await expect(`${body}\n`).toMatchFileSnapshot('elasticsearch-index.json');
  });

  test('the SQL that builds documents, looks up refused ones, and sweeps', async () => {
    const sql = [
      documentsCopy(shape, changed, '1763720000000000'),
      keysOfIdsCopy(shape, changed, ["it's", String.raw`\h00`]),
      documentsCopy(shape, { ...changed, sweep: true }, '1763720000000000'),
    ];
    await expect(`${sql.join(';\n\n')};\n`).toMatchFileSnapshot('elasticsearch-documents.sql');
  });

  test('a build number that is none cannot come into the SQL', () => {
    expect(() => documentsCopy(shape, changed, "1'; drop table x")).toThrow();
  });

  test('a column that is gone is named', () => {
    expect(() => indexBodyFor(route, { columns: columns.slice(1) } as unknown as TableDescription)).toThrow(
      /no column pk1/,
    );
  });
});

describe('fields that an existing index lacks', () => {
  const pair = type('pair', {
    schema: 'app',
    kind: 'composite',
    attributes: [
      { name: 'n', type: type('int4') },
      { name: 't', type: type('text') },
    ],
  });
  const fields = [
    { name: 'id', type: fieldOf(column('id', type('int4'))) },
    { name: 'a.b', type: fieldOf(column('a.b', type('int4'))) },
    { name: 'pair', type: fieldOf(column('pair', type('_pair', { kind: 'array', of: pair }))) },
  ];
  const full = { id: {}, a: { properties: { b: {} } }, pair: { properties: { n: {}, t: {} } } };

  test.each([
    ['all there', { dynamic: 'strict', properties: full }, []],
    ['none there, strict', { dynamic: 'strict' }, ['id', 'a.b', 'pair']],
    ['none there, dynamic', {}, []],
    ['none there, ignoring', { dynamic: 'false' }, []],
    ['a dotted name as one field', { dynamic: 'strict', properties: { ...full, a: undefined, 'a.b': {} } }, []],
    [
      'inside of an object',
      { dynamic: 'strict', properties: { ...full, pair: { properties: { n: {} } } } },
      ['pair.t'],
    ],
    ['an object that takes anything', { dynamic: 'strict', properties: { ...full, pair: { enabled: false } } }, []],
    [
      'a dynamic object in a strict index',
      { dynamic: 'strict', properties: { ...full, pair: { dynamic: 'true', properties: {} } } },
      [],
    ],
    [
      'a strict object in a dynamic index',
      { properties: { pair: { dynamic: 'strict', properties: {} } } },
      ['pair.n', 'pair.t'],
    ],
  ])('%s', (_name, mapping, missing) => {
    expect(missingFields(fields, mapping)).toEqual(missing);
  });
});

test.each([
  ['60s', 60],
  ['10m', 600],
  ['1h', 3600],
  ['2d', 172_800],
  ['600000ms', 600],
  ['-1', 0],
  ['soon', 0],
])('%s is %i seconds', (text, seconds) => {
  expect(durationSeconds(text)).toBe(seconds);
});
