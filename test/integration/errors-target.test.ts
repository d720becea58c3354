import { afterAll, beforeAll, expect, test } from 'vitest';
import { status, type LinkStatus } from '../../src/index.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { connect, never, one, Pair } from './replay-pair.ts';

let source: PostgresServer;
let target: PostgresServer;
beforeAll(async () => {
  [source, target] = await Promise.all([startPostgres({ name: 'up' }), startPostgres({ name: 'down' })]);
});
afterAll(async () => {
  await source[Symbol.asyncDispose]();
  await target[Symbol.asyncDispose]();
});

const sql = 'create table t (id int primary key, v text)';

async function link(pair: Pair): Promise<LinkStatus | undefined> {
  return (await status(pair.app, never)).links.find((each) => each.target === 'remote');
}

test('G7: a configuration error of a target stops only its link, says what it is, and mending it is enough', async () => {
  await using good = await Pair.open({ server: source, sql });
  await using pair = await Pair.open({
    server: source,
    targetServer: target,
    sql: `${sql}; create table u (id int primary key)`,
  });
  await pair.add('t', 'u');
  await good.add('t');
  pair.run();
  good.run();
  await pair.change("insert into t values (1, 'a')");
  const admin = await connect(target.url());
  await admin.query(`alter role ${pair.targetRole} nologin`);
  await admin.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where usename = $1 and application_name = $2',
    [pair.targetRole, 'pgrep-replayer'],
  );
  const name = pair.targetUrl.replace(/.*\//, '');
  await pair.source.query("insert into t values (2, 'b')");
  const stopped = await waitFor(async () => (await pair.linkState()).state === 'stopped' && (await pair.linkState()), {
    what: 'the link to stop',
  });
  expect(stopped.lastError).toMatch(
    /^Node remote refuses: .*not permitted to log in \(28000\)\. .*nodes\.remote\.postgres/,
  );
  await good.change("insert into t values (2, 'b')");
  await good.expectEqual('t');
  await admin.query(`alter role ${pair.targetRole} login`);
  await pair.settle(30);
  await pair.expectEqual('t');
  await pair.target.query('alter table t rename to hidden');
  await pair.source.query("insert into t values (3, 'c'); insert into u values (1)");
  const missing = await waitFor(async () => (await pair.linkState()).state === 'stopped' && (await pair.linkState()), {
    what: `the link to ${name} to stop`,
  });
  expect(missing.lastError).toContain(
    'Node remote has no table public.t for public.t. Create it there: create table "public"."t"',
  );
  await pair.target.query('alter table hidden rename to t; alter table t alter column v type varchar(10)');
  await pair.settle(30);
  await pair.expectEqual('t', 'u');
  expect(await pair.errors()).toEqual([]);
  expect((await link(pair))?.lastError).toBe(null);
  await admin.end();
});

test('G2: a target that is down for a while loses nothing and makes no records', async () => {
  await using pair = await Pair.open({ server: source, targetServer: target, sql });
  await pair.add('t');
  pair.run();
  await pair.change("insert into t select i, 'a' from generate_series(1, 100) i");
  await target.stop('immediate');
  await pair.source.query("update t set v = 'b' where id <= 50; delete from t where id > 90");
  const down = await waitFor(async () => (await pair.linkState()).state === 'retrying' && (await pair.linkState()), {
    what: 'the link to notice',
  });
  expect(down.lastError).toContain('Node remote cannot be reached');
  for (let i = 1; i <= 200; i += 1) await pair.source.query(`insert into t values (${1000 + i}, 'during')`);
  expect(await one(pair.source, 'select count(*) from pgrep.sync_err_rec')).toEqual(['0']);
  await target.start();
  await pair.settle(40);
  const after = await connect(pair.targetUrl);
  expect(await one(after, 'select t::text from t order by id')).toEqual(
    await one(pair.source, 'select t::text from t order by id'),
  );
  expect(await pair.errors()).toEqual([]);
  await after.end();
});
