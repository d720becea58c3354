import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installCapture, planCapture, uninstallCapture } from '../../src/capture/install-capture.ts';
import { captureDrift, repairCapture } from '../../src/capture/repair-capture.ts';
import { PgrepError } from '../../src/core/error.ts';
import type { TableName } from '../../src/core/route.ts';
import { openSession } from '../../src/db/session.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { CapturedTable, exactly, installSchema, never, newDatabase } from './capture-fixture.ts';

let server: PostgresServer;
let db: pg.Client;

beforeAll(async () => {
  // Transactions cannot be prepared here, so the doorbell may ring.
  server = await startPostgres({ name: 'capture-setup', settings: { max_prepared_transactions: 0 } });
  db = await newDatabase(server);
});
afterAll(async () => {
  await db.end();
  await server[Symbol.asyncDispose]();
});

const inPublic = (name: string): TableName => ({ schema: 'public', name });

async function connect(options: { user?: string } = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url(db.database, options.user) });
  await client.connect();
  return client;
}

async function refusal(work: Promise<unknown>): Promise<PgrepError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PgrepError)) throw new Error('not refused', { cause: error });
  return error;
}

describe('rights', () => {
  test('G8: a table owner without superuser sets it up; whoever may write the table can write it, and gains nothing', async () => {
    await db.query(`create role shop_owner login; create role clerk login`);
    await db.query('create database shop owner shop_owner');
    const owner = new pg.Client({ connectionString: server.url('shop', 'shop_owner') });
    const clerk = new pg.Client({ connectionString: server.url('shop', 'clerk') });
    await Promise.all([owner.connect(), clerk.connect()]);
    await installSchema(owner);
    await owner.query(
      `create schema shop; create table shop.stock (id int primary key, n int); grant usage on schema shop to clerk; grant insert, update, delete, select on shop.stock to clerk`,
    );
    const table = await CapturedTable.of(owner, { schema: 'shop', name: 'stock' });
    await clerk.query(
      `insert into shop.stock values (1, 1), (2, 2); update shop.stock set id = 3 where id = 2; delete from shop.stock where id = 1`,
    );
    expect((await table.queued()).queued).toEqual(['(1)', '(2)', '(3)']);
    for (const sql of [
      `insert into ${table.queue} (k1) values (array[9])`,
      `select from ${table.queue}`,
      'truncate shop.stock',
    ]) {
      await expect(clerk.query(sql)).rejects.toMatchObject({ code: '42501' });
    }
    const { rows } = await owner.query<{ may: boolean }>(
      `select bool_or(has_function_privilege('clerk', p.oid, 'execute')) as may from pg_proc p where p.pronamespace = 'pgrep'::regnamespace and p.proname like 'capture%'`,
    );
    expect(rows).toEqual([{ may: false }]);
    await Promise.all([owner.end(), clerk.end()]);
  });

  test('G8: a hostile search_path runs nothing of the caller with the rights of the owner', async () => {
    await db.query(`create table target_of_attack (id numeric primary key); create role attacker login; grant all on target_of_attack to attacker;
      create schema evil authorization attacker; create table evil.run (who text)`);
    const table = await CapturedTable.of(db, 'target_of_attack');
    const attacker = await connect({ user: 'attacker' });
    const traps = [
      '"-"(bigint, bigint)',
      '"/"(bigint, integer)',
      '"/"(bigint, bigint)',
      '"="(bigint, integer)',
      '"="(bigint, bigint)',
      '"="(text, text)',
      '"<>"(text, text)',
    ];
    await attacker.query(`create function evil.trap(text) returns text language plpgsql as $$ begin raise exception 'trap'; end $$;
      create function evil.array_agg(numeric) returns numeric[] language plpgsql as $$ begin raise exception 'trap'; end $$;
      create function evil.pg_sequence_last_value(regclass) returns bigint language plpgsql as $$ begin raise exception 'trap'; end $$;
      create function evil.pg_current_xact_id() returns xid8 language plpgsql as $$ begin raise exception 'trap'; end $$`);
    for (const [place, trap] of traps.entries()) {
      const [, operator = '', left = '', right = ''] = /^"(.*)"\((\w+), (\w+)\)$/.exec(trap) ?? [];
      const result = operator.length > 0 && '-/'.includes(operator) ? left : 'boolean';
      await attacker.query(`create function evil.op_${place}(${left}, ${right}) returns ${result} language plpgsql as $$ begin raise exception 'trap'; end $$;
        create operator evil.${operator} (leftarg = ${left}, rightarg = ${right}, function = evil.op_${place})`);
    }
    await attacker.query('set search_path = evil, pg_catalog, public');
    await attacker.query(
      `create temp table changed (id numeric); insert into target_of_attack select i from generate_series(1, 2000) i`,
    );
    await attacker.query(
      `update target_of_attack set id = id OPERATOR(pg_catalog.+) 5000; insert into target_of_attack values (1)`,
    );
    const { queued } = await table.queued();
    expect(queued).toHaveLength(4000);
    await attacker.end();
  });
});

describe('the doorbell', () => {
  test('rings once a transaction, only while a replayer sleeps and something was captured', async () => {
    await db.query('create table bell (id int primary key)');
    const table = await CapturedTable.of(db, 'bell');
    const listener = await connect();
    const heard: string[] = [];
    listener.on('notification', ({ channel, payload }) => heard.push(`${channel}${payload ?? ''}`));
    await listener.query('listen pgrep; listen other');
    await table.during(`insert into bell values (1)`);
    await db.query(`select setval('pgrep.doorbell', 99999999999)`);
    await table.during(`delete from bell where false; insert into bell select 1 where false`);
    await table.during(`begin; insert into bell values (2); insert into bell values (3); truncate bell; commit`);
    await db.query(`select setval('pgrep.doorbell', 1); notify other`);
    await waitFor(() => heard.includes('other'), { what: 'the last notification' });
    expect(heard).toEqual(['pgrep', 'other']);
    await listener.end();
  });
});

describe('what cannot be captured is refused with advice', () => {
  const cases: readonly (readonly [string, string, string, RegExp, RegExp])[] = [
    ['a missing table', '', 'absent', /There is no table public\.absent/, /spelling/],
    ['a view', 'create view v as select 1 as id', 'v', /is a view/, /tables that it is made of/],
    ['a materialized view', 'create materialized view mv as select 1 as id', 'mv', /materialized view/, /tables/],
    ['an unlogged table', 'create unlogged table ul (id int primary key)', 'ul', /unlogged/, /set logged/],
    [
      'a partition',
      'create table root (id int primary key) partition by range (id); create table leaf partition of root default',
      'leaf',
      /partition of public\.root/,
      /Replicate public\.root/,
    ],
    [
      'a parent by INHERITS',
      'create table mother (id int primary key); create table son () inherits (mother)',
      'mother',
      /inherited by public\.son/,
      /no inherit/,
    ],
    ['a child by INHERITS', '', 'son', /inherits from public\.mother/, /no inherit/],
    [
      'an unlogged partition',
      'create table mixed (id int primary key) partition by range (id); create unlogged table mixed_1 partition of mixed default',
      'mixed',
      /mixed_1, which is unlogged/,
      /set logged/,
    ],
    ['no key', 'create table keyless (id int)', 'keyless', /no primary key/, /add primary key/],
    [
      'no primary key, but a unique index',
      'create table unique_only (id int not null unique)',
      'unique_only',
      /no primary key/,
      /--key id/,
    ],
  ];
  test.each(cases)('%s', async (...[, ddl, name, message, hint]) => {
    await db.query(ddl);
    const error = await refusal(installCapture(db, { table: inPublic(name), nodeId: 1 }, never));
    expect(error.code).toBe('table');
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
  });

  test('a temporary, a foreign and a system table', async () => {
    await db.query(`create temp table tt (id int primary key); create extension file_fdw; create server files foreign data wrapper file_fdw;
      create foreign table ft (id int) server files options (filename '/dev/null')`);
    const { rows } = await db.query<{ schema: string }>('select pg_my_temp_schema()::regnamespace::text as schema');
    const temporary = { schema: rows[0]?.schema ?? '', name: 'tt' };
    expect((await refusal(installCapture(db, { table: temporary, nodeId: 1 }, never))).code).toBe('table');
    expect((await refusal(installCapture(db, { table: inPublic('ft'), nodeId: 1 }, never))).message).toMatch(
      /foreign table/,
    );
    expect(
      (await refusal(installCapture(db, { table: { schema: 'pgrep', name: 'route' }, nodeId: 1 }, never))).message,
    ).toMatch(/system table/);
  });
});

describe('installing', () => {
  test('is harmless to repeat, and is planned without a trace', async () => {
    await db.query('create table twice (a int not null, b int not null, primary key (a), unique (b))');
    const options = { table: inPublic('twice'), nodeId: 1 };
    const plan = await planCapture(db, options);
    const first = await installCapture(db, options, never);
    expect(first).toEqual(plan);
    expect(await installCapture(db, options, never)).toMatchObject({
      tableId: first.tableId,
      change: 'unchanged',
      sql: [],
    });
    expect((await refusal(installCapture(db, { ...options, key: ['b'] }, never))).code).toBe('route');
    await uninstallCapture(db, { ...options, tableId: first.tableId }, never);
    await uninstallCapture(db, { ...options, tableId: first.tableId }, never);
    const other = await installCapture(db, { ...options, key: ['b'] }, never);
    expect(other.key).toEqual(['b']);
    await db.query('drop table twice');
    await uninstallCapture(db, { ...options, tableId: other.tableId }, never);
    const left = await db.query(`select from pg_class where relnamespace = 'pgrep'::regnamespace and relname ~ $1`, [
      `_(${first.tableId}|${other.tableId})(_|$)`,
    ]);
    expect(left.rowCount).toBe(0);
  });

  test('works over a session of pgrep, whose values are all text', async () => {
    await db.query(
      'create table by_session (id int primary key) partition by range (id); create table by_session_1 partition of by_session default',
    );
    await using session = await openSession({ node: 'local', url: server.url(db.database) });
    const { tableId } = await installCapture(session, { table: inPublic('by_session'), nodeId: 1 }, never);
    expect(await captureDrift(session, tableId)).toEqual([]);
    await db.query('alter table by_session disable trigger pgrep_insert');
    const [drift] = await captureDrift(session, tableId);
    if (drift === undefined) throw new Error('no drift');
    await repairCapture(session, drift, never);
    expect(await captureDrift(session, tableId)).toEqual([]);
  });

  test('G8: waits for open writers in short tries that hold up no other writer, then names them', async () => {
    await db.query('create table busy (id int primary key)');
    const writer = await connect();
    await writer.query(`set application_name = 'night job'; begin; insert into busy values (1)`);
    const other = await connect();
    await using session = await openSession({ node: 'local', url: server.url(db.database) });
    const tried = refusal(
      installCapture(session, { table: inPublic('busy'), nodeId: 1, lockTimeoutMs: 100, limitMs: 1500 }, never),
    );
    await other.query(`set statement_timeout = 1000`);
    for (let id = 10; id < 20; id++) await other.query('insert into busy values ($1)', [id]);
    const error = await tried;
    expect(error.code).toBe('no');
    expect(error.message).toMatch(/process \d+ \(night job, user postgres/);
    const again = installCapture(session, { table: inPublic('busy'), nodeId: 1, lockTimeoutMs: 100 }, never);
    await writer.query('commit');
    expect((await again).change).toBe('created');
    await Promise.all([writer.end(), other.end()]);
  });
});

describe('drift of a plain table', () => {
  async function driftOf(table: CapturedTable): Promise<readonly string[]> {
    return (await captureDrift(db, table.capture.tableId)).flatMap(({ drift }) =>
      drift.map(({ kind, repairable }) => `${kind}${repairable ? '' : '!'}`),
    );
  }

  test.each([
    ['a dropped table', 'drop table %', 'tableGone!'],
    ['a renamed table', 'alter table % rename to renamed_drift', 'tableGone!'],
    ['a renamed key column', 'alter table % rename column id to ident', 'keyLost!'],
    ['a dropped key', 'alter table % drop constraint %_pkey', 'keyLost!'],
    ['a table that became unlogged', 'alter table % set unlogged', 'notCapturable!'],
    ['a table that was inherited', 'create table heir () inherits (%)', 'notCapturable!'],
    ['a dropped queue', 'drop table pgrep.queue_#', 'queueGone!'],
    ['dropped functions', 'drop function pgrep.capture_# cascade', 'functions,triggers'],
    ['a trigger that fires only at the origin', 'alter table % enable trigger pgrep_update', 'triggers'],
  ])('%s is found', async (what, ddl, expected) => {
    const name = `drift_${what.replaceAll(' ', '_')}`;
    await db.query(`create table ${name} (id int primary key, info text)`);
    const table = await CapturedTable.of(db, name);
    expect(await driftOf(table)).toEqual([]);
    await db.query(ddl.replaceAll('%', name).replaceAll('#', table.capture.tableId));
    expect((await driftOf(table)).join()).toBe(expected);
  });

  test('a function of another version is replaced, and nothing is sent again', async () => {
    await db.query('create table old_version (id int primary key); insert into old_version values (1)');
    const table = await CapturedTable.of(db, 'old_version');
    await db.query(
      `create or replace function pgrep.capture_${table.capture.tableId}() returns trigger language plpgsql as 'begin return null; end'`,
    );
    const [drift] = await captureDrift(db, table.capture.tableId);
    if (drift === undefined) throw new Error('no drift');
    await repairCapture(db, drift, never);
    expect((await table.queued()).queueRows).toBe(0);
    await exactly(table, 'insert into old_version values (2)');
  });
});
