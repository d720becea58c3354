import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uninstallCapture } from '../../src/capture/install-capture.ts';
import { captureDrift } from '../../src/capture/repair-capture.ts';
import type { TableName } from '../../src/core/route.ts';
import { ident, tableIdent } from '../../src/db/quote.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { CapturedTable, exactly, never, newDatabase } from './capture-fixture.ts';

let server: PostgresServer;
let db: pg.Client;

beforeAll(async () => {
  server = await startPostgres({ name: 'capture-keys' });
  db = await newDatabase(server);
});
afterAll(async () => {
  await db.end();
  await server[Symbol.asyncDispose]();
});

describe('names', () => {
  const longest = 'n'.repeat(63);
  const tables: readonly TableName[] = [
    { schema: 'My Schema', name: 'T.1' },
    { schema: 'größe', name: 'таблица "数据"' },
    { schema: longest, name: longest },
    { schema: 'public', name: "o'clock\\" },
  ];
  test.each(tables)('G1: table $schema.$name is captured', async (table) => {
    await db.query(`create schema if not exists ${ident(table.schema)}`);
    await db.query(
      `create table ${tableIdent(table)} ("Key é" int, ${ident(longest)} text, "a""b" int, primary key ("Key é", ${ident(longest)}))`,
    );
    const captured = await CapturedTable.of(db, table);
    await exactly(captured, `insert into ${tableIdent(table)} select i, 'x', i from generate_series(1, 3) i`);
    await exactly(captured, `update ${tableIdent(table)} set "Key é" = -"Key é"`);
    await exactly(captured, `delete from ${tableIdent(table)}`);
  });

  test('G1: columns named like the words of the trigger function are no trouble', async () => {
    const words = [
      'changed',
      'replaced',
      'found',
      'tg_op',
      'old',
      'new',
      'c',
      's',
      'k1',
      'k2',
      'chunk',
      'xid',
      'version',
      'truncated',
      'slice',
    ];
    await db.query(
      `create table words (${words.map((word) => `${ident(word)} int`).join(', ')}, primary key (${words.map(ident).join(', ')}))`,
    );
    const captured = await CapturedTable.of(db, 'words');
    await exactly(captured, `insert into words values (${words.map((_, place) => place).join(', ')})`);
    await exactly(
      captured,
      `insert into words select ${words.map(() => 'i').join(', ')} from generate_series(100, 105) i`,
    );
    await exactly(captured, `update words set changed = changed + 1`);
  });
});

describe('key types', () => {
  const image = (type: string, ...values: readonly string[]): { type: string; values: readonly string[] } => ({
    type,
    values,
  });
  const types = [
    image('numeric', '1.0', '1.00', '2'),
    image('float8', '0', '-0', '3'),
    image('character(4)', 'a', 'ab'),
    image('interval', '24:00', '1 day', '2 days'),
    image('timetz', '10:00+00', '11:00+01'),
    image('timestamptz', '2026-01-01 00:00+00', '2026-01-02 00:00+00'),
    image('uuid', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002'),
    image('bytea', '\\x00', '\\xff'),
    image('"char"', 'a', 'b'),
    image('bit(3)', '101', '111'),
    image('inet', '10.0.0.1', '10.0.0.1/24'),
    image('int4range', '[1,5)', '[2,5)'),
    image('int8multirange', '{[1,5)}', '{[1,6)}'),
    image('jsonb', '{"a": 1}', '{"a": 1.0}'),
    image('integer[]', '{1,2}', '{1,2,3}', '{}'),
    image('kind.colour', 'red', 'blue'),
    image('kind.amount', '1.50', '2.50'),
    image('kind.tags', '{a}', '{a,b}'),
    image('kind.pair', '(1,x)', '(2,y)'),
    image('kind.citext', 'a', 'A'),
    image('text collate kind.loose', 'b', 'B'),
    image('text collate "C"', 'c', 'd'),
  ];

  beforeAll(async () => {
    await db.query(`create schema kind; create extension citext schema kind; create type kind.colour as enum ('red', 'blue');
      create domain kind.amount as numeric(10, 2); create domain kind.tags as text[]; create type kind.pair as (n int, t text);
      create collation kind.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
  });

  test.each(types)('G1: $type: each change of the image queues both keys', async ({ type, values }) => {
    await db.query(
      `drop table if exists typed; create table typed (id int, k ${type}, info text, primary key (id, k))`,
    );
    const captured = await CapturedTable.of(db, 'typed');
    const literals = values.map((value) => `'${value}'`);
    await exactly(
      captured,
      `insert into typed select row_number() over (), v::text::${type.replace(/ collate.*/, '')} from unnest(array[${literals.join(', ')}]) v`,
    );
    for (const value of literals) {
      const { changed, queued } = await captured.during(`update typed set k = ${value} where id = 1`);
      expect(queued).toEqual(expect.arrayContaining([...changed]));
    }
    await exactly(captured, 'delete from typed');
    expect(await captureDrift(db, captured.capture.tableId)).toEqual([]);
    await uninstallCapture(db, { table: captured.table, tableId: captured.capture.tableId }, never);
  });
});
