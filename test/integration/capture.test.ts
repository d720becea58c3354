import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replicatorName } from '../../src/core/replicator-name.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { CapturedTable, exactly, newDatabase } from './capture-fixture.ts';

describe.each([18, 14] as const)('G1: on PostgreSQL %i', (version) => {
  let server: PostgresServer;
  let db: pg.Client;

  beforeAll(async () => {
    server = await startPostgres({ version, name: `capture${version}` });
    db = await newDatabase(server);
  });
  afterAll(async () => {
    await db.end();
    await server[Symbol.asyncDispose]();
  });

  async function composite(name: string): Promise<CapturedTable> {
    await db.query(`create table ${name} (pk1 int, pk2 text, info text, primary key (pk1, pk2));
      insert into ${name} select i % 10, 'k' || i, 'info' from generate_series(1, 40) i`);
    return CapturedTable.of(db, name);
  }

  test('insert, update and delete queue exactly the changed keys', async () => {
    const table = await composite('plain');
    await exactly(table, `insert into plain values (100, 'new'), (101, 'new')`);
    await exactly(table, `insert into plain values (102, 'one')`);
    await exactly(table, `update plain set info = 'changed' where pk1 < 5`);
    await exactly(table, `delete from plain where pk1 = 3`);
    await exactly(table, `delete from plain where pk1 = 100`);
  });

  test('a change of the key queues the old and the new key', async () => {
    const table = await composite('keys');
    await exactly(table, `update keys set pk1 = pk1 + 1000`);
    await exactly(table, `update keys set pk2 = pk2 || 'x' where pk1 = 1003`);
    await exactly(
      table,
      `with gone as (delete from keys where pk1 = 1004 returning *) insert into keys select -1, pk2, info from gone`,
    );
  });

  test('rows that shift or exchange their keys in one statement queue all of them', async () => {
    await db.query(
      `create table swap (id int primary key deferrable, info text); insert into swap select i, 'row ' || i from generate_series(1, 20) i`,
    );
    const table = await CapturedTable.of(db, 'swap');
    await exactly(table, 'update swap set id = id + 1');
    await exactly(table, 'update swap set id = case id when 3 then 4 else 3 end where id in (3, 4)');
  });

  test('a key that a before trigger changes is queued as it is stored', async () => {
    const table = await composite('before_trigger');
    await db.query(`create function shout() returns trigger language plpgsql as $$ begin new.pk2 := upper(new.pk2); return new; end $$;
      create trigger shout before insert or update on before_trigger for each row execute function shout()`);
    await exactly(table, `update before_trigger set info = 'other' where pk1 = 2`);
    await exactly(table, `insert into before_trigger values (50, 'quiet')`);
  });

  test('insert … on conflict queues inserted and updated keys', async () => {
    const table = await composite('conflict');
    await exactly(
      table,
      `insert into conflict values (1, 'k1', 'other'), (77, 'k77', 'new') on conflict (pk1, pk2) do update set info = excluded.info`,
    );
    const { queued } = await table.during(`insert into conflict values (1, 'k1') on conflict do nothing`);
    expect(queued).toEqual([]);
  });

  // MERGE came with PostgreSQL 15.
  if (version >= 15) {
    test('merge queues what it inserted, updated and deleted', async () => {
      const table = await composite('merged');
      await exactly(
        table,
        `merge into merged t using (values (1, 'k1'), (2, 'k2'), (99, 'k99')) s(a, b) on t.pk1 = s.a and t.pk2 = s.b
       when matched and s.a = 1 then delete when matched then update set info = 'merged', pk1 = 200 when not matched then insert values (s.a, s.b)`,
      );
    });
  }

  test('a statement of thousands of rows packs its keys, none lost, at most 1,000 a queue row', async () => {
    const table = await composite('bulk');
    await exactly(table, `insert into bulk select i, 'bulk', 'x' from generate_series(1000, 4500) i`);
    const { rows } = await db.query<{ most: number; rows: number }>(
      `select max(cardinality(k1)) as most, count(*)::integer as rows from ${table.queue}`,
    );
    expect(rows).toEqual([{ most: 1000, rows: 4 }]);
    await exactly(table, `copy bulk from program 'echo 9000,prog,x; echo 9001,prog,y' (format csv)`);
    await exactly(table, `update bulk set info = 'z' where pk1 >= 1000`);
    await exactly(table, `delete from bulk`);
  });

  test('foreign-key cascades queue the rows of the referencing table', async () => {
    await db.query(`create table parent (id int primary key);
      create table child (id int, parent_id int references parent on delete cascade on update cascade, nullable int references parent on delete set null,
        primary key (id, parent_id));
      insert into parent select i from generate_series(1, 10) i; insert into child select i, i % 5 + 1, i % 5 + 6 from generate_series(1, 20) i`);
    const table = await CapturedTable.of(db, 'child');
    await exactly(table, 'update parent set id = 100 where id = 1');
    await exactly(table, 'delete from parent where id = 2');
    await exactly(table, 'delete from parent where id = 8');
  });

  test('TRUNCATE leaves a marker, also by CASCADE; rolled back it leaves nothing', async () => {
    await db.query(`create table top (id int primary key); create table below (id int primary key, top_id int references top);
      insert into top values (1); insert into below values (1, 1)`);
    const table = await CapturedTable.of(db, 'below');
    const rolledBack = await table.during('begin; truncate top cascade; rollback');
    expect(rolledBack).toMatchObject({ changed: [], queueRows: 0 });
    const cascaded = await table.during('truncate top cascade');
    expect(cascaded).toMatchObject({ changed: ['(1)'], markers: 1, queued: [] });
    const again = await table.during(
      'insert into below values (2, null); truncate below; insert into below values (3, null)',
    );
    expect(again).toMatchObject({ markers: 1, changed: ['(3)'], queued: ['(2)', '(3)'] });
  });

  test('what a savepoint rolled back is not queued; what stays carries the id of the whole transaction', async () => {
    const table = await composite('savepoints');
    const { changed, queued } = await table.during(async () => {
      await db.query(`begin; savepoint a; insert into savepoints values (60, 'kept'); release a`);
      await db.query(
        `savepoint b; insert into savepoints values (61, 'lost'); update savepoints set info = 'lost'; rollback to b`,
      );
      const { rows } = await db.query<{ same: boolean }>(
        `select bool_and(xid = pg_current_xact_id()) as same from ${table.queue}`,
      );
      expect(rows).toEqual([{ same: true }]);
      await db.query('commit');
    });
    expect(changed).toEqual(['(60,kept)']);
    expect(queued).toEqual(changed);
  });

  test('a prepared transaction is captured when it commits, also while a replayer sleeps', async () => {
    const table = await composite('prepared');
    await db.query(`select setval('pgrep.doorbell', 99999999999)`);
    const { changed, queued } = await table.during(async () => {
      for (const sql of ['begin', `insert into prepared values (70, 'x')`, `prepare transaction 'mine'`])
        await db.query(sql);
      expect((await table.queued()).queueRows).toBe(0);
      await db.query(`commit prepared 'mine'`);
    });
    expect(queued).toEqual(['(70,x)']);
    expect(changed).toEqual(queued);
    await db.query(`select setval('pgrep.doorbell', 1)`);
  });

  test('a statement that changes no row writes nothing and takes no transaction id', async () => {
    const table = await composite('nothing');
    await db.query(`select setval('pgrep.doorbell', 99999999999)`);
    for (const sql of [
      `update nothing set info = 'x' where false`,
      `delete from nothing where false`,
      `insert into nothing select 1, 'x' where false`,
    ]) {
      await db.query('begin');
      await db.query(sql);
      const { rows } = await db.query<{ xid: string | null }>('select pg_current_xact_id_if_assigned() as xid');
      expect(rows).toEqual([{ xid: null }]);
      await db.query('commit');
    }
    expect((await table.queued()).queueRows).toBe(0);
    await db.query(`select setval('pgrep.doorbell', 1)`);
  });

  test('the replicator itself is skipped by the exact name only', async () => {
    const table = await composite('sessions');
    const names = [
      replicatorName,
      `${replicatorName}2`,
      replicatorName.toUpperCase(),
      ` ${replicatorName}`,
      'pgrep',
      '',
    ];
    for (const name of names) {
      const { queueRows } = await table.during(async () => {
        await db.query(`select set_config('application_name', $1, false)`, [name]);
        await db.query(
          `insert into sessions values (80, $1); update sessions set pk1 = 81 where pk1 = 80; delete from sessions where pk1 = 81`.replaceAll(
            '$1',
            `'s'`,
          ),
        );
        await db.query(`begin; truncate sessions; select 1`);
        await db.query('commit');
      });
      expect({ name, captured: queueRows > 0 }).toEqual({ name, captured: name !== replicatorName });
    }
    await db.query('reset application_name');
  });

  test('sessions that apply other replication are captured', async () => {
    const table = await composite('replica_role');
    await db.query('set session_replication_role = replica');
    await exactly(table, `insert into replica_role values (90, 'x')`);
    await exactly(table, `update replica_role set pk1 = 91 where pk1 = 90`);
    await db.query('reset session_replication_role');
  });

  test('versions rise above the clock of the cluster and carry the node', async () => {
    const table = await composite('versions');
    const farMicros = 4_000_000_000_000_000n;
    await table.during(`insert into versions values (1, 'now')`);
    const [first] = (await db.query<{ version: string }>(`select version from ${table.queue}`)).rows;
    const micros = BigInt(first?.version ?? 0) >> 8n;
    expect(Math.abs(Number(micros / 1000n) - Date.now())).toBeLessThan(60_000);
    expect(BigInt(first?.version ?? 0) & 255n).toBe(7n);
    await db.query(`select setval('pgrep.clock', ${farMicros})`);
    await table.during(`insert into versions values (2, 'later')`);
    const [second] = (await db.query<{ version: string }>(`select version from ${table.queue}`)).rows;
    expect(BigInt(second?.version ?? 0)).toBe(((farMicros + 1n) << 8n) | 7n);
    await db.query(`select setval('pgrep.clock', 0)`);
  });

  test('random transactions never change a row whose key is not queued under their id', async () => {
    await db.query(`create table random (a int, b text, info numeric, primary key (a, b) deferrable)`);
    const table = await CapturedTable.of(db, 'random');
    const seed = Number(process.env['PGREP_SEED'] ?? Date.now() % 1_000_000);
    await randomTransactions(db, table, seed);
  }, 60_000);
});

async function randomTransactions(db: pg.Client, table: CapturedTable, seed: number): Promise<void> {
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const statements = [
    () =>
      `insert into random select i, chr(97 + i % 3), ${next(100)} from generate_series(${next(20)}, ${20 + next(1500)}, ${1 + next(9)}) i on conflict do nothing`,
    () => `insert into random values (${next(20)}, 'a', ${next(9)})`,
    () => `update random set info = info + 1 where a % ${1 + next(5)} = 0`,
    () => `update random set a = a + ${next(3)} where a < ${next(30)}`,
    () => `update random set a = -a, b = b || 'x' where a = ${next(20)}`,
    () => `delete from random where a % ${2 + next(6)} = 1`,
    () => `delete from random where a = ${next(20)}`,
  ];
  for (let round = 0; round < 60; round++) {
    const before = await table.rows();
    await db.query('begin');
    const { rows } = await db.query<{ xid: string }>('select pg_current_xact_id() as xid');
    for (let step = 0; step < 1 + next(4); step++) {
      const make = statements[next(statements.length)];
      await db.query('savepoint s');
      await db.query(make === undefined ? 'select' : make()).catch(() => db.query('rollback to s'));
      if (next(4) === 0) await db.query('rollback to s');
    }
    // A deferred check can refuse the whole: then nothing changed and nothing may be queued.
    await db.query('set constraints all immediate').then(
      () => db.query('commit'),
      () => db.query('rollback'),
    );
    const after = await table.rows();
    const queued = new Set((await table.queued(`q.xid = '${rows[0]?.xid ?? 0}'`)).queued);
    const missing = [...new Set([...before.keys(), ...after.keys()])].filter(
      (key) => before.get(key) !== after.get(key) && !queued.has(key),
    );
    expect(missing, `PGREP_SEED=${seed}, round ${round}`).toEqual([]);
  }
}
