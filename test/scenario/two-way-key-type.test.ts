import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'key_type' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('a key that becomes bigint at all nodes goes on both ways, versions included', async () => {
  await using mesh = await Mesh.create(server, 'bigint', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.add({ to: ['b', 'c'] });
  await using daemon = await replaying(mesh);
  await mesh.sql('a', "insert into public.t values (1, 1, '')");
  await sameEverywhere(mesh);
  // PostgreSQL refuses to alter a column that a trigger's condition names; pgrep brings its triggers back.
  await mesh.everywhere(`do $$ declare x record; begin
    for x in select tgname from pg_trigger where tgrelid = 'public.t'::regclass and not tgisinternal loop execute format('drop trigger %I on public.t', x.tgname); end loop;
    alter table public.t alter id type bigint; end $$`);
  const typed = "select from pg_attribute where attrelid in ('pgrep.queue_1'::regclass, 'pgrep.row_version_1'::regclass) and attname = 'k1' and format_type(atttypid, null) in ('bigint[]', 'bigint')"; // prettier-ignore
  const mended = async (): Promise<boolean> => Object.values(await mesh.everywhere(typed)).every((rows) => rows.length === 2); // prettier-ignore
  await waitFor(mended, { what: 'queues and row versions to follow', deadlineMs: 120_000 });
  const big = 5_000_000_000;
  await mesh.sql('b', `insert into public.t values (${big}, 1, 'b'), (${big + 1}, 1, 'b')`);
  await sameEverywhere(mesh);
  await mesh.sql('c', `update public.t set info = 'c' where id = ${big}; delete from public.t where id = ${big + 1}`);
  const rows = await sameEverywhere(mesh, 'select id::text, info from public.t order by id');
  expect(rows).toEqual([{ id: '1', info: '' }, { id: String(big), info: 'c' }]); // prettier-ignore
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});
