import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { digest, Pair } from './pair.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Triggers notify only where no transaction can be prepared; everywhere else changes are found by polling, as in all other tests.
  server = await startPostgres({ name: 'doorbell', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const secondsSet = 'select last_value - floor(extract(epoch from clock_timestamp()))::bigint from pgrep.doorbell';

test('a daemon that waits is woken by a commit, long before it would look again', async () => {
  await using pair = await Pair.create('woken', { local: server, remote: server });
  pair.configure({ replayer: { pollMs: 60_000 } });
  await pair.both('create table public.t (id integer primary key, n integer not null)');
  await pair.json('add-table', 'public.t', '--to', 'remote');
  await using daemon = await pair.daemon();
  for (let id = 1; id <= 5; id += 1) {
    await waitFor(async () => Number(await pair.value('local', secondsSet)) > 0, { what: 'the doorbell to be set' });
    await pair.sql('local', 'insert into public.t values ($1, 0)', [id]);
    await pair.untilEqual(digest, 10_000);
  }
  expect(daemon.running).toBe(true);
});
