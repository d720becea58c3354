import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'unchanged', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** The replicator at `mesh`'s node b waits for a row lock. */
const waiting = `select from pg_catalog.pg_stat_activity where datname = current_database() and application_name = 'pgrep-replayer'
  and wait_event_type = 'Lock'`;

/** What a has told b by a batch that was applied. */
const arrived = "select from pgrep.position where source = 'a' and pg_visible_in_snapshot($1::text::xid8, snapshot)";

// What the merge changes it locks, and what was committed meanwhile step d sees. A row that is as it arrives is neither changed nor seen by it.
test('G5: a row that arrives as it is here, with a newer version, stands against a change that is open meanwhile', async () => {
  await using mesh = await Mesh.create(server, 'open', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', "insert into public.t values (1, 0, 'as it was')");
  await mesh.add({ to: ['b'] });
  {
    await using first = await replaying(mesh);
    await sameEverywhere(mesh);
    expect(first.running).toBe(true);
  }
  const open = new pg.Client({ connectionString: mesh.url('b') });
  await open.connect();
  try {
    await open.query("begin; update public.t set info = 'older' where id = 1");
    const [written] = await mesh.sql('a', "update public.t set info = 'as it was' where id = 1 returning pg_current_xact_id()::text as xid"); // prettier-ignore
    await using daemon = await replaying(mesh);
    await waitFor(
      async () =>
        (await mesh.sql('b', waiting)).length > 0 || (await mesh.sql('b', arrived, [written?.['xid']])).length > 0,
      { what: 'the newer version at b', everyMs: 5 },
    );
    await open.query('commit');
    expect(await sameEverywhere(mesh, 'select id, info from public.t')).toEqual([{ id: 1, info: 'as it was' }]);
    const lost = Object.values(await mesh.everywhere("select coalesce(local_row, remote_row) ->> 'info' as info from pgrep.conflict where kind = 'update/update'")).flat(); // prettier-ignore
    expect(lost.length).toBeGreaterThan(0);
    expect(daemon.running).toBe(true);
  } finally {
    await open.end();
  }
});
