import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { digest, Pair } from './pair.ts';

let local: PostgresServer;
let remote: PostgresServer;
beforeAll(async () => {
  // Nothing but a commit writes WAL out, so that a crash forgets transactions that rolled back after the last one.
  const settings = { wal_writer_delay: '10s', wal_level: 'minimal', max_wal_senders: 0, autovacuum: 'off' };
  [local, remote] = await Promise.all([
    startPostgres({ name: 'crash', fsync: true, settings }),
    startPostgres({ name: 'crash-target' }),
  ]);
});
afterAll(async () => {
  await Promise.all([local, remote].map((server) => server[Symbol.asyncDispose]()));
});

test('G2: transaction ids that a crashed source gives out a second time are not taken for seen', async () => {
  await using pair = await Pair.create('reused', { local, remote });
  await pair.both('create table public.t (id integer primary key, n integer not null)');
  await pair.json('add-table', 'public.t', '--to', 'remote');
  await using daemon = await pair.daemon();
  await pair.sql('local', 'insert into public.t values (0, 0)');
  const lost = 200;
  for (let each = 0; each < lost; each++) await pair.sql('local', 'begin; select pg_current_xact_id(); rollback');
  const forgotten = Number(await pair.value('local', 'select pg_snapshot_xmax(pg_current_snapshot())'));
  const seen = 'select pg_snapshot_xmax(snapshot)::text from pgrep.position';
  await waitFor(async () => Number(await pair.value('remote', seen)) >= forgotten, {
    what: 'the link to have seen the transactions that rolled back',
  });
  await local.kill();
  daemon.kill('SIGKILL');
  await daemon.exit();
  await local.start();
  const again = Number(await pair.value('local', 'select pg_snapshot_xmax(pg_current_snapshot())'));
  expect(again).toBeLessThan(forgotten);
  for (let id = 1; id <= lost + 50; id++) await pair.sql('local', 'insert into public.t values ($1, 1)', [id]);
  await using next = await pair.daemon();
  await pair.untilEqual(digest, 20_000);
  expect(next.running).toBe(true);
});
