import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'truncated', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const refill = "insert into public.t select i, i, 'later' from generate_series(1, 50) i";
const counted = 'select count(*)::integer as n from public.t';

/** Nodes whose table was truncated and filled again, so long ago that the rows' versions are forgotten. Node d has no part in it. */
async function emptiedOnce(name: string, forward: boolean): Promise<Mesh> {
  const mesh = await Mesh.create(server, name, { nodes: ['a', 'b', 'c', 'd'], sql: tableSql });
  await mesh.add({ to: ['b', 'c'], forward });
  await using daemon = await replaying(mesh);
  await mesh.sql('a', refill);
  await sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b', 'c'] });
  await mesh.sql('b', 'truncate public.t');
  await mesh.sql('b', refill);
  await sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b', 'c'] });
  const kept = 'select count(*)::integer as n from pgrep.row_version_1';
  const members = ['a', 'b', 'c'];
  await waitFor(
    async () => {
      const all = await Promise.all(members.map((node) => mesh.sql(node, kept)));
      const looked = await Promise.all(members.map((node) => mesh.sql(node, 'select looked is not null as looked from pgrep.versioned_table'))); // prettier-ignore
      return all.every(([row]) => row?.['n'] === 0) && looked.every(([row]) => row?.['looked'] === true);
    },
    { what: 'the versions to be forgotten', deadlineMs: 40_000 },
  );
  daemon.kill('SIGTERM');
  await daemon.exit();
  return mesh;
}

const layouts = [
  ['mesh', false],
  ['star', true],
] as const;

test.each(layouts)('G5: a TRUNCATE from long ago takes no row away from a node that a %s copies its rows to', async (layout, forward) => {
  await using mesh = await emptiedOnce(`copied_${layout}`, forward);
  await mesh.add({ to: forward ? ['d'] : ['b', 'c', 'd'], forward });
  await using daemon = await replaying(mesh);
  await sameEverywhere(mesh);
  expect(await mesh.sql('d', counted)).toEqual([{ n: 50 }]);
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
}); // prettier-ignore

test.each(layouts)('G5: nor from one that held the same rows already when it joined a %s', async (layout, forward) => {
  await using mesh = await emptiedOnce(`held_${layout}`, forward);
  await mesh.sql('d', refill);
  await mesh.add({ to: forward ? ['d'] : ['b', 'c', 'd'], forward, copy: false });
  await using daemon = await replaying(mesh);
  await mesh.sql('d', "update public.t set info = 'of d' where id = 1");
  await sameEverywhere(mesh);
  expect(await mesh.sql('d', counted)).toEqual([{ n: 50 }]);
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});

test('G5: nor do the leaves of a star refuse rows that a new node brings along as older than it', async () => {
  await using mesh = await emptiedOnce('brought', true);
  await mesh.sql('d', "insert into public.t values (1000, 0, 'brought along')");
  await mesh.add({ to: ['d'], forward: true, merge: true });
  await using daemon = await replaying(mesh);
  await sameEverywhere(mesh);
  expect(await mesh.everywhere(counted)).toEqual({ a: [{ n: 51 }], b: [{ n: 51 }], c: [{ n: 51 }], d: [{ n: 51 }] });
  expect(daemon.running).toBe(true);
});

/** Rows at node a with a trigger of this function wait until public.gate is empty. */
const gate = `create table public.gate (shut integer); insert into public.gate values (1);
  create function public.gate() returns trigger language plpgsql as $$ begin
    while exists (select from public.gate) loop perform pg_catalog.pg_sleep(0.02); end loop; return coalesce(new, old); end $$;`;
const waiting = "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";

test('G5: a batch that is cut short lets no version be forgotten: a TRUNCATE behind the cut finds the rows that are newer', async () => {
  const other = 'create table public.other (id integer primary key)';
  await using mesh = await Mesh.create(server, 'cut', { nodes: ['a', 'b'], sql: `${tableSql}; ${other}` });
  const path = join(mesh.folder, 'pgrep.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...config, replayer: { maxBatchRows: 100 } }));
  await mesh.sql('a', "insert into public.t select i, 0, '' from generate_series(1, 100) i");
  await mesh.add({ to: ['b'] });
  await mesh.add({ table: { schema: 'public', name: 'other' }, to: ['b'] });
  await using there = await replaying(mesh, '--from', 'a');
  await mesh.sql('a', `${gate} create trigger gate before insert on public.other for each row execute function public.gate();
    alter table public.other enable always trigger gate`); // prettier-ignore
  // Three batches: of rows that are gone, of the other table, and with the TRUNCATE.
  await mesh.sql('b', 'update public.t set n = 1');
  await mesh.sql('b', 'insert into public.other select i from generate_series(1, 100) i');
  await mesh.sql('b', 'truncate public.t');
  // Node a knows nothing of that yet; node b has the row, and says so with its first batch.
  await mesh.sql('a', "insert into public.t values (1000, 0, 'newer')");
  await waitFor(async () => (await mesh.sql('b', 'select from public.t')).length === 1, { what: 'the row to arrive' });
  await using back = await replaying(mesh, '--from', 'b');
  await waitFor(async () => (await mesh.sql('a', waiting)).length > 0, { what: 'the second batch to wait' });
  const looked = async (): Promise<unknown> => (await mesh.sql('a', 'select looked::text as at from pgrep.versioned_table where table_id = 1'))[0]?.['at']; // prettier-ignore
  for (const turn of [1, 2, 3]) {
    const before = await looked();
    await mesh.sql('a', 'select pg_current_xact_id()');
    await waitFor(async () => (await looked()) !== before, { what: `look ${turn} for versions to forget` });
  }
  await mesh.sql('a', 'delete from public.gate');
  expect(await sameEverywhere(mesh, 'select id, info from public.t')).toEqual([{ id: 1000, info: 'newer' }]);
  expect([there, back].every(({ running }) => running)).toBe(true);
});

test('G5: a row that is inserted while a TRUNCATE is applied is not folded before that is there, and stands at all nodes', async () => {
  await using mesh = await Mesh.create(server, 'folded', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', "insert into public.t values (1, 0, '')");
  await mesh.add({ to: ['b'] });
  await mesh.sql('a', `${gate} create trigger gate before delete on public.t for each row execute function public.gate();
    alter table public.t enable always trigger gate`); // prettier-ignore
  const open = new pg.Client({ connectionString: mesh.url('a') });
  const folding = new pg.Client({ connectionString: mesh.url('a') });
  await Promise.all([open.connect(), folding.connect()]);
  try {
    await open.query("begin; insert into public.t values (2, 0, 'meanwhile')");
    await mesh.sql('b', 'truncate public.t');
    await using daemon = await replaying(mesh);
    await waitFor(async () => (await mesh.sql('a', waiting)).length > 0, { what: 'the TRUNCATE to be applied' });
    await open.query('commit');
    const folded = folding.query('select pgrep.fold_1(1)');
    const blocked = "select from pg_stat_activity where query = 'select pgrep.fold_1(1)' and (wait_event_type = 'Lock' or state = 'idle')"; // prettier-ignore
    await waitFor(async () => (await mesh.sql('a', blocked)).length > 0, { what: 'the fold to wait, or to be done' });
    await mesh.sql('a', 'delete from public.gate');
    await folded;
    expect(await sameEverywhere(mesh, 'select id, info from public.t')).toEqual([{ id: 2, info: 'meanwhile' }]);
    expect(daemon.running).toBe(true);
  } finally {
    await Promise.all([open.end(), folding.end()]);
  }
});
