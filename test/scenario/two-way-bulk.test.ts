import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'bulk' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

// More keys than a small batch has.
const fill = "insert into public.t select i, 0, '' from generate_series(1, 5000) i";

// At node b the first row that a bulk update brings waits until public.gate is empty.
const gate = `create table public.gate (shut integer); insert into public.gate values (1);
  create function public.gate() returns trigger language plpgsql as $$ begin
    while exists (select from public.gate) loop perform pg_catalog.pg_sleep(0.02); end loop; return new; end $$;
  create trigger gate before update on public.t for each row when (new.info = 'bulk') execute function public.gate();
  alter table public.t enable always trigger gate`;

test('G5: an open transaction on a row that a large batch finds equal is waited for', async () => {
  await using mesh = await Mesh.create(server, 'equal', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', `${fill}; update public.t set n = 7 where id = 5`);
  await mesh.add({ to: ['b'] });
  await using daemon = await replaying(mesh);
  const open = new pg.Client({ connectionString: mesh.url('b') });
  await open.connect();
  try {
    await open.query("begin; update public.t set info = 'older' where id = 5");
    await mesh.sql('a', 'update public.t set n = 7');
    const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    await waitFor(async () => (await mesh.sql('b', waiting)).length > 0, { what: 'the batch to wait', everyMs: 5 });
    await open.query('commit');
  } finally {
    await open.end();
  }
  expect(await sameEverywhere(mesh, 'select id, n, info from public.t where id = 5')).toEqual([{ id: 5, n: 7, info: '' }]); // prettier-ignore
  const lost = await mesh.everywhere("select local_row ->> 'info' as info from pgrep.conflict where key = '{5}'");
  expect(lost['b']).toContainEqual({ info: 'older' });
  expect(daemon.running).toBe(true);
});

test('G5, G6: a row that a large batch has locked gets no fresh version meanwhile: the batch stands, what it replaced is recorded', async () => {
  await using mesh = await Mesh.create(server, 'folded', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b'] });
  await mesh.sql('b', gate);
  await using daemon = await replaying(mesh);
  const folding = new pg.Client({ connectionString: mesh.url('b') });
  await folding.connect();
  try {
    await folding.query('begin; select from pgrep.versioned_table for update');
    // The clock of b was set back: an own change below an earlier own version.
    await folding.query(`savepoint made; update public.t set info = 'of b' where id in (4999, 5000);
      insert into pgrep.row_version_1 (k1, version, xid, dead, inserted, barrier)
      select k, (((version >> 8) + 10) << 8) | 2, 1, false, false, 0 from pgrep.queue_1 q cross join unnest(q.k1) k where xid = pg_current_xact_id(); commit;
      begin; select from pgrep.versioned_table for update`);
    await mesh.sql('a', "update public.t set n = 1, info = 'bulk'");
    const waiting = "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
    await waitFor(async () => (await mesh.sql('b', waiting)).length > 0, { what: 'the merge to wait' });
    await folding.query('commit');
  } finally {
    await folding.end();
  }
  await mesh.sql('b', 'select pgrep.fold_1(1)');
  await mesh.sql('b', 'delete from public.gate');
  const kept = await sameEverywhere(mesh, "select id, info from public.t where info <> 'bulk' order by id");
  expect(kept).toEqual([]);
  const lost = await mesh.sql(
    'b',
    "select key[1]::integer as id, local_row ->> 'info' as info from pgrep.conflict order by 1",
  );
  expect(lost).toEqual([4999, 5000].map((id) => ({ id, info: 'of b' })));
  expect(daemon.running).toBe(true);
});
