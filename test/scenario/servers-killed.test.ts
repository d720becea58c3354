import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Load } from './load.ts';
import { digest, Pair } from './pair.ts';

let local: PostgresServer;
let remote: PostgresServer;
beforeAll(async () => {
  [local, remote] = await Promise.all([
    startPostgres({ name: 'source', fsync: true }),
    startPostgres({ name: 'target', fsync: true }),
  ]);
});
afterAll(async () => {
  await Promise.all([local, remote].map((server) => server[Symbol.asyncDispose]()));
});

test('G2: servers that are killed and come back under load lose nothing that was committed', async () => {
  await using pair = await Pair.create('killed', { local, remote });
  await pair.both('create table public.t (id integer primary key, n integer not null)');
  await pair.json('add-table', 'public.t', '--to', 'remote');
  await using daemon = await pair.daemon();
  await using load = new Load(pair.url.local);
  const more = async (): Promise<void> => {
    const before = load.committed;
    await waitFor(() => load.committed > before + 50, { what: 'more commits at the source', deadlineMs: 60_000 });
  };
  for (let round = 0; round < 2; round++) {
    await more();
    await remote.stop('immediate');
    await more();
    await remote.start();
    await more();
    await local.kill();
    await local.start();
  }
  await more();
  await load.stop();
  await pair.arrive(90);
  await pair.expectEqual(digest);
  expect(await pair.value('local', 'select count(*)::integer from pgrep.sync_err_rec')).toBe(0);
  expect(daemon.running).toBe(true);
});
