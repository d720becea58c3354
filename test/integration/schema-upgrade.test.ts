import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nextVersionSql } from '../../src/versions/version-sql.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'upgrade' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const migration = (name: string): string => readFileSync(`sql/migrations/${name}.sql`, 'utf8');

// A queue as the version before two-way routes made it.
const oldQueue = `create table pgrep.queue_1 (xid xid8 not null default pg_current_xact_id(), version bigint not null default 1,
  slice smallint not null default 0, from_node smallint, truncated boolean not null default false, k1 integer[]) partition by list (slice);
create table pgrep.queue_1_0 partition of pgrep.queue_1 for values in (0)`;

test('a schema from before versions is upgraded in place: no queue row is lost, new ones get versions of their node', async () => {
  const client = new pg.Client({ connectionString: await server.createDatabase('old') });
  await client.connect();
  try {
    for (const name of ['0001_init', '0002_captured_relation', '0003_confirmed_in'])
      await client.query(migration(name));
    await client.query(`insert into pgrep.node values (7, 'x', true);
      insert into pgrep.captured_table (nsp_name, table_name, key_columns) values ('public', 't', '{id}')`);
    await client.query(`${oldQueue}; insert into pgrep.queue_1 (k1) values ('{1,2}')`);
    await client.query(`begin; ${migration('0004_versions')}; commit`);
    await client.query("insert into pgrep.queue_1 (inserted, k1) values (true, '{3}')");
    await client.query(`begin; ${migration('0005_ticks')}; commit`);
    await client.query("insert into pgrep.queue_1 (inserted, k1) values (true, '{4}')");
    const { rows } = await client.query(
      'select k1, inserted, (version & 255)::integer as node, version > 1::bigint << 58 as now from pgrep.queue_1 order by k1',
    );
    expect(rows).toEqual([
      { k1: [1, 2], inserted: false, node: 1, now: false },
      { k1: [3], inserted: true, node: 7, now: true },
      { k1: [4], inserted: true, node: 7, now: true },
    ]);
  } finally {
    await client.end();
  }
});

test('what peers had seen is kept where it is told by table from now on', async () => {
  const client = new pg.Client({ connectionString: await server.createDatabase('ways') });
  await client.connect();
  try {
    for (const name of ['0001_init', '0004_versions', '0005_ticks']) await client.query(migration(name));
    await client.query("insert into pgrep.peer_seen (peer, origin, snapshot, passed) values (2, 3, '7:9:8', '7:7:')");
    await client.query(`begin; ${migration('0006_peer_way')}; commit`);
    const { rows } = await client.query('select peer, origin, way, snapshot::text, passed::text from pgrep.peer_seen');
    expect(rows).toEqual([{ peer: 2, origin: 3, way: 0, snapshot: '7:9:8', passed: '7:7:' }]);
  } finally {
    await client.end();
  }
});

test('while the clock is behind, writers at once get no version twice, and each its own in rising order', async () => {
  const url = await server.createDatabase('behind');
  const clients = Array.from({ length: 4 }, () => new pg.Client({ connectionString: url }));
  await Promise.all(clients.map((client) => client.connect()));
  try {
    for (const name of ['0001_init', '0004_versions']) await clients[0]?.query(migration(name));
    await clients[0]?.query("select setval('pgrep.ticks', (extract(epoch from now()) * 1000000)::bigint + 600000000)");
    const each = await Promise.all(
      clients.map(async (client) => {
        const { rows } = await client.query(
          `select (${nextVersionSql('7')})::text as version from generate_series(1, 20000)`,
        );
        return rows.map(({ version }: { version: string }) => version);
      }),
    );
    for (const versions of each) expect(versions).toEqual(versions.toSorted());
    expect(new Set(each.flat()).size).toBe(80_000);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});
