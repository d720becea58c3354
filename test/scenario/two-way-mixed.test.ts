import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'mixed', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const sql = `${tableSql}; create table public.other (id integer primary key)`;
const other = { table: { schema: 'public', name: 'other' } };

/** Waits until node a has looked three times for versions to forget. */
async function looksAtA(mesh: Mesh): Promise<void> {
  const looked = async (): Promise<unknown> => (await mesh.sql('a', 'select looked::text as at from pgrep.versioned_table where table_id = 1'))[0]?.['at']; // prettier-ignore
  for (const turn of [1, 2, 3]) {
    const before = await looked();
    await mesh.sql('a', 'select pg_current_xact_id()');
    await waitFor(async () => (await looked()) !== before, { what: `look ${turn} for versions to forget` });
  }
}

test.concurrent.each([
  ['one way', false],
  ['both ways', true],
])(
  'G5, G6: leaves of a star that exchange another table %s have not seen by that what comes by way of the hub',
  async (title, twoWay) => {
    await using mesh = await Mesh.create(server, title.replace(' ', '_'), { nodes: ['a', 'b', 'd'], sql });
    await mesh.sql('a', "insert into public.t select i, 0, '' from generate_series(1, 3) i");
    await mesh.add({ to: ['b', 'd'], forward: true });
    await mesh.add({ ...other, from: 'b', to: ['d'], twoWay });
    {
      await using daemon = await replaying(mesh);
      await sameEverywhere(mesh, wholeTable);
      await waitFor(async () => (await mesh.sql('a', 'select from pgrep.row_version_1')).length === 0, { what: 'all to be quiet', deadlineMs: 40_000 }); // prettier-ignore
      expect(daemon.running).toBe(true);
    }
    // All links but that from the hub to d.
    await using fromB = await replaying(mesh, '--from', 'b');
    await using fromD = await replaying(mesh, '--from', 'd');
    await using fromA = await replaying(mesh, '--from', 'a', '--to', 'b');
    await mesh.sql('b', "update public.t set info = 'of b'");
    await waitFor(async () => (await mesh.sql('a', "select from public.t where info = 'of b'")).length === 3, { what: 'the hub to have it' }); // prettier-ignore
    await mesh.sql('b', 'insert into public.other values (1)');
    await waitFor(async () => (await mesh.sql('d', 'select from public.other')).length === 1, { what: 'the other table to arrive' }); // prettier-ignore
    // Newer than that of b, of which d knows nothing.
    await mesh.sql('d', "update public.t set info = 'of d' where id = 1");
    await looksAtA(mesh);
    expect([fromA, fromB, fromD].every(({ running }) => running)).toBe(true);
    await using last = await replaying(mesh, '--from', 'a', '--to', 'd');
    const rows = await sameEverywhere(mesh, 'select id, info from public.t order by id');
    expect(rows).toEqual([1, 2, 3].map((id) => ({ id, info: id === 1 ? 'of d' : 'of b' })));
    const lost =
      "select coalesce(local_row, remote_row) ->> 'id' as id, local_row ->> 'info' as local, remote_row ->> 'info' as remote from pgrep.conflict";
    const found = Object.values(await mesh.everywhere(lost)).flat();
    expect(found.some(({ id, local, remote }) => id === '1' && [local, remote].includes('of b'))).toBe(true);
    expect(last.running).toBe(true);
  },
);
