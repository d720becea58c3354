import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { discardErrors, retryErrors } from '../../src/index.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { never, one, Pair, type PairOptions } from './replay-pair.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'errors' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const table = 'create table t (id int primary key, name text, v text)';

/** A running pair whose target refuses negative ids and long values. */
async function picky(options: Partial<PairOptions> = {}): Promise<Pair> {
  const pair = await Pair.open({
    server,
    sourceSql: `${table}; create table other (id int primary key)`,
    targetSql:
      'create table t (id int primary key constraint positive check (id > 0), name varchar(5), v text); create table other (id int primary key)',
    ...options,
  });
  await pair.add('t', 'other');
  pair.run();
  return pair;
}

describe('G7: a bad row holds only itself', () => {
  test('rows that the target refuses are held with their reason; the others of the batch and other tables go on', async () => {
    await using pair = await picky();
    await pair.change(
      "begin; insert into t select i, 'n', 'v' from generate_series(-2, 50) i where i <> 0; insert into t values (100, 'too long', 'it''s'), (101, 'x\\y', null); insert into other values (1); commit",
    );
    expect(await one(pair.target, 'select count(*) from t')).toEqual(['51']);
    await pair.expectEqual('other');
    const records = await pair.errors();
    expect(
      records
        .map(({ nsp_name, table_name, dst_server, key, reason, attempts }) => [
          nsp_name,
          table_name,
          dst_server,
          key,
          reason,
          attempts,
        ])
        .sort(),
    ).toEqual([
      ['public', 't', 'remote', ['-1'], '23514', 1],
      ['public', 't', 'remote', ['-2'], '23514', 1],
      ['public', 't', 'remote', ['100'], '22001', 1],
    ]);
    expect(records.find(({ key }) => key[0] === '-1')?.message).toContain('positive');
    // Later changes of held keys wait; all others do not.
    await pair.change("update t set v = 'later' where id in (-1, 1, 100)");
    expect(await one(pair.target, "select id from t where v = 'later'")).toEqual(['1']);
    expect((await pair.errors()).length).toBe(3);
  });

  test('dst_query runs by hand at the target once that was mended, for inserts, updates and deletes', async () => {
    await using pair = await picky();
    await pair.change("insert into t values (1, 'a', 'b'), (2, 'b', 'c')");
    await pair.target.query(
      'create function no() returns trigger language plpgsql as $$ begin raise exception $e$no$e$; end $$; create trigger no before delete on t for each row execute function no(); alter table t enable always trigger no',
    );
    await pair.change(
      "update t set name = 'quoted''\\value', v = E'new\\nline' where id = 1; delete from t where id = 2; insert into t values (-5, null, '\\x')",
    );
    const queries = (await pair.errors()).map((record) => record.dst_query);
    expect((await pair.errors()).map(({ key, reason }) => [key[0], reason]).sort()).toEqual([
      ['-5', '23514'],
      ['1', '22001'],
      ['2', 'P0001'],
    ]);
    await pair.target.query(
      'alter table t drop constraint positive, alter column name type text; drop trigger no on t',
    );
    await pair.target.query("set datestyle = 'German, DMY'; set intervalstyle = 'iso_8601'");
    for (const query of queries) await pair.target.query(query);
    await pair.expectEqual('t');
  });

  test('a later good change of a held key clears its record, and so does its delete', async () => {
    await using pair = await picky();
    await pair.change("insert into t values (1, 'too long', 'a'), (2, 'too long', 'b'), (-3, 'x', 'c')");
    expect((await pair.errors()).length).toBe(3);
    await pair.source.query(
      "update t set name = 'good' where id = 1; delete from t where id = 2; update t set id = 3 where id = -3",
    );
    await waitFor(async () => (await pair.errors()).length === 0, { what: 'records to be cleared' });
    await pair.expectEqual('t');
  });

  test('500 bad rows among 20,000 of one transaction are found one by one within 30 seconds', async () => {
    await using pair = await picky();
    const begun = Date.now();
    await pair.source.query(
      "insert into t select case when i % 40 = 0 then -i else i end, 'n', repeat('x', 50) from generate_series(1, 20000) i",
    );
    await pair.settle(60);
    const seconds = (Date.now() - begun) / 1000;
    expect(await one(pair.source, 'select count(*) from pgrep.sync_err_rec')).toEqual(['500']);
    expect(await one(pair.target, 'select count(*) from t')).toEqual(['19500']);
    expect(seconds).toBeLessThan(30);
  });

  test('a value that the target cannot cast, though the table is right, holds only its row', async () => {
    await using pair = await Pair.open({
      server,
      sourceSql: 'create table reg (id int primary key, r regclass); create table only_here (id int)',
      targetSql: 'create table reg (id int primary key, r regclass)',
    });
    await pair.add('reg');
    pair.run();
    await pair.change("insert into reg values (1, 'pg_class'), (2, 'only_here'), (3, null)");
    expect(await pair.errors()).toMatchObject([{ key: ['2'], reason: '42P01' }]);
    expect(await one(pair.target, 'select reg::text from reg order by id')).toEqual(['(1,pg_class)', '(3,)']);
  });
});

describe('held rows that are due', () => {
  test('a row without its parent arrives as soon as the parent has', async () => {
    await using pair = await Pair.open({
      server,
      replicaRole: false,
      sourceSql: 'create table p (id int primary key); create table c (id int primary key, p int)',
      targetSql: 'create table p (id int primary key); create table c (id int primary key, p int references p)',
    });
    await pair.add('p', 'c');
    pair.run();
    await pair.change('insert into c values (1, 1), (2, 2), (3, null)');
    expect((await pair.errors()).map(({ key, reason }) => [key[0], reason]).sort()).toEqual([
      ['1', '23503'],
      ['2', '23503'],
    ]);
    await pair.source.query('insert into p values (1)');
    await waitFor(async () => (await pair.errors()).length === 1, {
      what: 'the row with the parent to arrive',
      deadlineMs: 8_000,
    });
    expect(await one(pair.target, 'select id from c order by id')).toEqual(['1', '3']);
    // A parent that cannot go is refused too, and goes when its child has gone.
    await pair.change('delete from p where id = 1');
    expect((await pair.errors()).map(({ table_name, key }) => [table_name, key[0]]).sort()).toEqual([
      ['c', '2'],
      ['p', '1'],
    ]);
    await pair.source.query('delete from c');
    await waitFor(async () => (await pair.errors()).length === 0, { what: 'the parent to go' });
    await pair.expectEqual('p', 'c');
  });

  test('retry-errors tries the oldest records, no more than asked, with the rows as they are now, and says what remains', async () => {
    await using pair = await Pair.open({
      server,
      sourceSql: table,
      targetSql: `${table}; alter table t add constraint short check (length(name) < 4)`,
    });
    await pair.add('t');
    // By hand, so that the daemon does not retry: one drain each.
    const daemon = new AbortController();
    pair.runUntil(daemon.signal);
    for (let i = 1; i <= 6; i += 1) await pair.change(`insert into t values (${i}, 'long', 'v${i}')`);
    daemon.abort();
    await pair.stopped();
    expect(await retryErrors(pair.app, { limit: 2, dryRun: false }, never)).toMatchObject({
      target: 'remote',
      tried: 2,
      succeeded: 0,
      remainingTotal: 6,
    });
    await pair.target.query(
      'alter table t drop constraint short; alter table t add constraint not_four check (id <> 2)',
    );
    await pair.source.query("update t set v = 'now' where id = 1");
    const result = await retryErrors(pair.app, { limit: 3, dryRun: false }, never);
    expect(result).toMatchObject({ tried: 3, succeeded: 2, remainingTotal: 4 });
    expect(result.remaining.map(({ key, reason, attempts }) => [key[0], reason, attempts])).toEqual([
      ['2', '23514', 3],
      ['4', '23514', 1],
      ['5', '23514', 1],
      ['6', '23514', 1],
    ]);
    expect(await one(pair.target, 'select id || v from t order by id')).toEqual(['1now', '3v3']);
  });

  test('pgrep.deal_sync_err_rec asks the daemon to try again; a discarded record stays away until its row changes', async () => {
    await using pair = await picky();
    await pair.change("insert into t values (1, 'too long', 'a'), (2, 'too long', 'b')");
    await pair.target.query('alter table t alter column name type text');
    expect(await one(pair.source, 'select pgrep.deal_sync_err_rec(500)')).toEqual(['2']);
    await waitFor(async () => (await pair.errors()).length === 0, { what: 'the daemon to retry', deadlineMs: 5_000 });
    await pair.expectEqual('t');
    await pair.change("insert into t values (-1, 'x', 'a')");
    await discardErrors(pair.app, { ids: (await pair.errors()).map(({ id }) => id) }, never);
    expect(await pair.errors()).toEqual([]);
    await pair.change("update t set v = 'b' where id = -1");
    expect(await pair.errors()).toMatchObject([{ key: ['-1'], attempts: 1 }]);
  });
});
