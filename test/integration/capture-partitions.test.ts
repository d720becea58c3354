import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { captureDrift, repairCapture } from '../../src/capture/repair-capture.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { CapturedTable, exactly, never, newDatabase } from './capture-fixture.ts';

describe.each([18, 14] as const)('G1: partitioned tables on PostgreSQL %i', (version) => {
  let server: PostgresServer;
  let db: pg.Client;

  beforeAll(async () => {
    server = await startPostgres({ version, name: `partitions${version}` });
    db = await newDatabase(server);
  });
  afterAll(async () => {
    await db.end();
    await server[Symbol.asyncDispose]();
  });

  /** Root r, leaves r_low (its columns in another order) and r_high_a below r_high. */
  async function tree(name: string): Promise<CapturedTable> {
    await db.query(`create table ${name} (region int, id text, info text, primary key (region, id)) partition by range (region);
      create table ${name}_low (info text, gone int, id text not null, region int not null);
      alter table ${name}_low drop column gone;
      alter table ${name} attach partition ${name}_low for values from (0) to (100);
      create table ${name}_high partition of ${name} for values from (100) to (300) partition by range (region);
      create table ${name}_high_a partition of ${name}_high for values from (100) to (200);
      insert into ${name} select i * 10, 'k' || i, 'info' from generate_series(0, 19) i`);
    return CapturedTable.of(db, name);
  }

  async function kinds(table: CapturedTable): Promise<readonly string[]> {
    const found = await captureDrift(db, table.capture.tableId);
    return found.flatMap(({ drift }) => drift.map(({ kind }) => kind));
  }

  async function repair(table: CapturedTable): Promise<readonly string[]> {
    const [drift] = await captureDrift(db, table.capture.tableId);
    if (drift === undefined) return [];
    return (await repairCapture(db, drift, never)).map(({ kind }) => kind);
  }

  test('statements are captured whether they name the root, a middle level or a leaf', async () => {
    const table = await tree('named');
    for (const relation of ['named', 'named_high', 'named_high_a']) {
      await exactly(table, `insert into ${relation} values (150, 'new', 'x')`);
      await exactly(table, `update ${relation} set info = 'changed' where region = 150`);
      await exactly(table, `update ${relation} set id = id || 'y' where region = 150`);
      await exactly(table, `delete from ${relation} where region = 150`);
    }
    await exactly(table, `update named_low set info = 'low'`);
    await exactly(table, `update named_low set id = id || 'z' where region < 50`);
    await exactly(table, `insert into named select i % 200, 'bulk' || i, 'x' from generate_series(1, 2500) i`);
  });

  test('a row that moves between leaves queues its old and its new key', async () => {
    const table = await tree('moves');
    await exactly(table, 'update moves set region = region + 100 where region < 100');
    await exactly(table, 'update moves set region = 5 where region = 110');
  });

  test('TRUNCATE of the root or of a leaf leaves a marker', async () => {
    const table = await tree('truncated');
    const leaf = await table.during('truncate truncated_low');
    expect(leaf.markers).toBe(1);
    const root = await table.during('truncate truncated');
    expect(root.markers).toBeGreaterThan(0);
  });

  test('a new partition is found as drift; repair captures it and queues the rows that it holds', async () => {
    const table = await tree('grows');
    expect(await kinds(table)).toEqual([]);
    const { changed } = await table.during(`create table grows_more (like grows including all);
      insert into grows_more values (400, 'held', 'x'), (401, 'held', 'x');
      alter table grows attach partition grows_more for values from (400) to (500);
      create table grows_high_b partition of grows_high for values from (200) to (300)`);
    expect(changed).toEqual(['(400,held)', '(401,held)']);
    expect(await kinds(table)).toEqual(['newPartition', 'newPartition']);
    expect(await repair(table)).toEqual(['newPartition', 'newPartition']);
    expect(await table.queued()).toMatchObject({ queued: changed, markers: 0 });
    expect(await kinds(table)).toEqual([]);
    await exactly(table, `insert into grows_more values (402, 'direct', 'x')`);
    await exactly(table, `insert into grows_high_b values (202, 'direct', 'x')`);
  });

  test('a partition that was detached or dropped is found; repair marks its rows as gone and lets go of it', async () => {
    const table = await tree('shrinks');
    await table.during('alter table shrinks detach partition shrinks_low; drop table shrinks_high_a');
    expect(await kinds(table)).toEqual(['partitionGone', 'partitionGone']);
    await repair(table);
    expect((await table.queued()).markers).toBe(1);
    expect(await kinds(table)).toEqual([]);
    const detached = await table.during(`insert into shrinks_low (region, id) values (50, 'free')`);
    expect(detached.queueRows).toBe(0);
  });

  test('a disabled trigger is found; repair restores it and sends the whole table again', async () => {
    const table = await tree('disabled');
    await table.during(
      'alter table disabled_low disable trigger pgrep_insert; drop trigger pgrep_delete on disabled_high_a',
    );
    expect(await kinds(table)).toEqual(['triggers', 'triggers']);
    await repair(table);
    expect(await table.queued()).toMatchObject({ queued: [...(await table.rows()).keys()].sort(), markers: 1 });
    expect(await kinds(table)).toEqual([]);
    await exactly(table, `delete from disabled_high_a`);
  });

  test('a repair that ended before its keys were queued is done again', async () => {
    const table = await tree('interrupted');
    await table.during(
      `delete from pgrep.captured_relation where table_id = ${table.capture.tableId} and relation = 'interrupted_low'::regclass`,
    );
    expect(await kinds(table)).toEqual(['newPartition']);
    await repair(table);
    const low = (await db.query<{ n: number }>('select count(*)::integer as n from interrupted_low')).rows[0]?.n;
    expect((await table.queued()).queued).toHaveLength(low ?? -1);
  });

  test('a key column of another type is found; repair changes the queue', async () => {
    await db.query(`create table retyped (id int primary key, info text) partition by range (id);
      create table retyped_1 partition of retyped for values from (0) to (100)`);
    const table = await CapturedTable.of(db, 'retyped');
    await table.during(`insert into retyped values (1, 'x');
      drop table retyped; create table retyped (id bigint primary key, info text) partition by range (id);
      create table retyped_1 partition of retyped for values from (0) to (9000000000)`);
    expect(new Set(await kinds(table))).toEqual(new Set(['keyType', 'newPartition', 'partitionGone']));
    await repair(table);
    expect(await kinds(table)).toEqual([]);
    await exactly(table, `insert into retyped values (8000000000, 'x')`);
  });
});
