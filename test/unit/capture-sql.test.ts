import { describe, expect, test } from 'vitest';
import { captureSql, dropCaptureSql } from '../../src/capture/capture-sql.ts';
import { chooseKey } from '../../src/capture/choose-key.ts';
import { queueLayout } from '../../src/capture/queue-layout.ts';
import { PgrepError } from '../../src/core/error.ts';
import type {
  ColumnDescription,
  TableDescription,
  TypeDescription,
  UniqueIndex,
} from '../../src/db/table-description.ts';

function type(sql: string, more: Partial<TypeDescription> = {}): TypeDescription {
  const name = { integer: 'int4', text: 'text', numeric: 'numeric' }[sql] ?? sql;
  return {
    oid: '0',
    schema: 'pg_catalog',
    name,
    sql,
    kind: 'base',
    hasArray: true,
    of: null,
    labels: [],
    attributes: [],
    ...more,
  };
}

function column(name: string, of: TypeDescription, more: Partial<ColumnDescription> = {}): ColumnDescription {
  const none = { typmod: -1, collation: null, deterministic: true, notNull: true, defaultExpression: null } as const;
  return { name, number: 1, type: of, formattedType: of.sql, generated: 'no', identity: 'no', ...none, ...more };
}

function index(columns: readonly string[], more: Partial<UniqueIndex> = {}): UniqueIndex {
  return { name: `${columns.join('_')}_key`, columns, primary: false, problem: null, ...more };
}

function table(more: Partial<TableDescription> = {}): TableDescription {
  return {
    oid: '1',
    table: { schema: 'local', name: 'loc_test' },
    kind: 'table',
    persistence: 'permanent',
    system: false,
    owner: 'shop',
    rowSecurity: false,
    columns: [
      column('pk1', type('integer')),
      column('pk2', type('text')),
      column('info', type('text'), { notNull: false }),
    ],
    primaryKey: ['pk1', 'pk2'],
    uniqueIndexes: [index(['pk1', 'pk2'], { name: 'loc_test_pkey', primary: true })],
    partitions: [],
    partitionOf: null,
    inheritsFrom: [],
    inheritedBy: [],
    ...more,
  };
}

const amount = type('"shop"."amount"', { schema: 'shop', name: 'amount', kind: 'domain', of: type('numeric') });
const tags = type('text[]', { name: '_text', kind: 'array', of: type('text'), hasArray: false });

function script(description: TableDescription, key: readonly string[]): string {
  return [...captureSql({ description, key, tableId: '7', nodeId: 1 }), '-- drop', ...dropCaptureSql('7'), ''].join(
    ';\n\n',
  );
}

describe('the SQL of capture', () => {
  test('of a table with a composite key', async () => {
    await expect(script(table(), ['pk1', 'pk2'])).toMatchFileSnapshot('golden/capture-composite-key.sql');
  });

  test('of a partitioned table: triggers on every level, both images of an update', async () => {
    const leaf = {
      oid: '2',
      table: { schema: 'local', name: 'Leaf "1"' },
      kind: 'table',
      persistence: 'permanent',
      leaf: true,
    } as const;
    await expect(script(table({ kind: 'partitioned', partitions: [leaf] }), ['pk1', 'pk2'])).toMatchFileSnapshot(
      'golden/capture-partitioned.sql',
    );
  });

  test('of keys that are compared by image: domain over numeric, text in a collation of its own', async () => {
    const columns = [
      column('Amount', amount),
      column('note', type('text'), { collation: '"shop"."loose"', deterministic: false }),
    ];
    await expect(script(table({ columns }), ['Amount', 'note'])).toMatchFileSnapshot('golden/capture-image-key.sql');
  });

  test('of an array in the key: one key a queue row', async () => {
    const columns = [column('id', type('integer')), column('tags', tags)];
    await expect(script(table({ columns }), ['id', 'tags'])).toMatchFileSnapshot('golden/capture-unpacked.sql');
  });
});

describe('the layout of a queue', () => {
  test.each([
    ['a scalar', type('integer'), true, 'integer[]'],
    ['a domain is stored as what it is made of', amount, true, 'numeric[]'],
    ['an array', tags, false, 'text[]'],
    [
      'a domain over an array keeps its type',
      type('"shop"."tags"', { kind: 'domain', of: tags }),
      false,
      '"shop"."tags"',
    ],
    ['a composite', type('"shop"."pair"', { kind: 'composite' }), false, '"shop"."pair"'],
    ['a type without array type', type('"x"."y"', { hasArray: false }), false, '"x"."y"'],
  ] as const)('%s', (...[, of, packed, sql]) => {
    const layout = queueLayout(table({ columns: [column('k', of)] }), ['k']);
    expect([layout.packed, layout.columns[0]?.type]).toEqual([packed, sql]);
  });
});

describe('the key of a table', () => {
  const nullable = { notNull: false };
  test.each([
    ['the primary key', {}, undefined, ['pk1', 'pk2']],
    [
      'columns of a unique index in the order given',
      { uniqueIndexes: [index(['pk1', 'pk2'])] },
      ['pk2', 'pk1'],
      ['pk2', 'pk1'],
    ],
    [
      'a deferrable key',
      { uniqueIndexes: [index(['pk1'], { primary: true, problem: 'deferrable' })] },
      undefined,
      ['pk1'],
    ],
  ] as const)('%s will do', (...[, more, wanted, expected]) => {
    expect(chooseKey(table(more), wanted)).toEqual(expected);
  });

  test.each([
    ['no primary key', { uniqueIndexes: [] }, undefined, /no primary key/, /add primary key/],
    [
      'no primary key, another index would do',
      { uniqueIndexes: [index(['pk2'])] },
      undefined,
      /no primary key/,
      /--key pk2/,
    ],
    ['an unknown column', {}, ['nope'], /nope, which the table does not have/, /pk1, pk2, info/],
    ['a column twice', {}, ['pk1', 'pk1'], /pk1 twice/, /once/],
    ['a nullable column', { columns: [column('a', type('text'), nullable)] }, ['a'], /may be null/, /set not null/],
    ['no unique index', {}, ['pk1'], /no unique index/, /create unique index concurrently on local\.loc_test \(pk1\)/],
    ['an invalid index', { uniqueIndexes: [index(['pk1'], { problem: 'invalid' })] }, ['pk1'], /not valid/, /reindex/],
    [
      'a partial index',
      { uniqueIndexes: [index(['pk1'], { problem: 'partial' })] },
      ['pk1'],
      /only some rows/,
      /without a where/,
    ],
    [
      'an index on an expression',
      { uniqueIndexes: [index(['pk1'], { problem: 'expression' })] },
      ['pk1'],
      /expression/,
      /plain columns/,
    ],
    [
      'a key without overlaps',
      { uniqueIndexes: [index(['pk1'], { primary: true, problem: 'withoutOverlaps' })] },
      undefined,
      /overlaps/,
      /plain columns/,
    ],
  ] as const)('%s is refused with advice', (...[, more, wanted, message, hint]) => {
    let thrown: unknown;
    try {
      chooseKey(table(more), wanted);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(PgrepError);
    expect(thrown).toMatchObject({ code: 'table' });
    expect((thrown as PgrepError).message).toMatch(message);
    expect((thrown as PgrepError).hint).toMatch(hint);
  });
});
