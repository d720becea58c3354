import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { Mesh, tableSql } from './mesh.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'fold' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const fold = 'select pgrep.fold_1(1)';
const version = "select dead, (version & 255)::integer as node, (select count(*)::integer from pgrep.queue_1 q where q.from_node is not null) as again from pgrep.row_version_1"; // prettier-ignore

test('a row below its tombstone gets a fresh version only while no open transaction changes it, and is not forgotten meanwhile', async () => {
  await using mesh = await Mesh.create(server, 'open', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.add({ to: ['b'] });
  // A delete of node b from a minute ahead of this node's clock.
  await mesh.sql(
    'a',
    `insert into pgrep.row_version_1 (k1, version, xid, dead, inserted, barrier)
    values (5, ((extract(epoch from now()) * 1000000)::bigint + 60000000) << 8 | 2, 1, true, false, 0)`,
  );
  await mesh.sql('a', "insert into public.t values (5, 1, '')");
  const open = new pg.Client({ connectionString: mesh.url('a') });
  await open.connect();
  try {
    await open.query('begin; update public.t set n = 2 where id = 5');
    for (let turn = 1; turn <= 2; turn += 1) await mesh.sql('a', fold);
    expect(await mesh.sql('a', version)).toEqual([{ dead: true, node: 2, again: 0 }]);
    await open.query('commit');
  } finally {
    await open.end();
  }
  await mesh.sql('a', fold);
  expect(await mesh.sql('a', version)).toEqual([{ dead: false, node: 1, again: 1 }]);
});
