import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addTable } from '../../src/app/add-table.ts';
import { openApp } from '../../src/app/open.ts';
import { parseConfig } from '../../src/config/config.ts';
import { openSession } from '../../src/db/session.ts';
import { discardedOf } from '../../src/torture/check/discarded.ts';
import { historiesOf, type Commit } from '../../src/torture/check/history.ts';
import { endsRight } from '../../src/torture/check/winner.ts';
import { seededRandom } from '../../src/torture/random.ts';
import { observeSql } from '../../src/torture/workload/observe-sql.ts';
import { createTablesSql, tables } from '../../src/torture/workload/tables-sql.ts';
import { nothingWritten, write } from '../../src/torture/workload/writer.ts';
import { installVersions } from '../../src/versions/install-versions.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'torture-log', settings: { deadlock_timeout: '100ms' } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A node whose tables are captured and observed, with a target that nobody serves. */
async function observedNode(): Promise<string> {
  const [url, target] = [await server.createDatabase('node'), await server.createDatabase('target')];
  for (const each of [url, target]) await query(each, createTablesSql);
  const config = parseConfig(JSON.stringify({ home: 'a', nodes: { a: { postgres: url }, b: { postgres: target } } }), {}, 'test'); // prettier-ignore
  await using app = openApp({ config });
  for (const { table } of tables) {
    await addTable(app, { table, to: ['b'], copy: true, replace: false, dryRun: false }, () => undefined, AbortSignal.timeout(30_000)); // prettier-ignore
  }
  const session = await app.session('a');
  for (const tableId of ['1', '2']) await installVersions(session, tableId);
  await session.script(observeSql('a', 1, tables.map((table, place) => ({ ...table, tableId: String(place + 1) })))); // prettier-ignore
  return url;
}

async function query(url: string, text: string): Promise<Record<string, string | null>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, string | null>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function readLog(url: string): Promise<readonly Commit[]> {
  const rows = await query(url, 'select c.ordinal::text, c.xid::text, c.kind, c.table_name, c.key::text, c.version::text, c.tag, c.old_tag, c.seen::text from pgrep_torture.commit c'); // prettier-ignore
  return rows.map((row) => ({
    node: 'a',
    ordinal: BigInt(row['ordinal'] ?? 0),
    xid: String(row['xid']),
    kind: row['kind'] as Commit['kind'],
    table: String(row['table_name']),
    key: row['key'] ?? null,
    version: BigInt(row['version'] ?? 0),
    tag: row['tag'] ?? null,
    oldTag: row['old_tag'] ?? null,
    seen: BigInt(row['seen'] ?? 0),
    lost: false,
  }));
}

test('the log of one node says of every key how it ended and that no write was lost, with the clock stepped back', async () => {
  const url = await observedNode();
  const stop = new AbortController();
  const written = nothingWritten();
  const open = () => openSession({ node: 'a', url }, 'pgrep-torture');
  const keys = () => ({ hotFrom: 1, hot: 5, all: 40, truncates: true });
  const writers = [0, 1, 2, 3].map((place) => write({ random: seededRandom(4, `writer ${place}`), keys, written, open }, stop.signal)); // prettier-ignore
  for (const offset of [100_000_000, -100_000_000]) {
    await query(url, `select setval('pgrep_torture.clock_offset', ${offset})`);
    const before = written.committed;
    await waitFor(() => written.committed > before + 200, { what: 'commits', deadlineMs: 60_000 });
  }
  stop.abort();
  await Promise.all(writers);
  for (const table of [1, 2]) await query(url, `select pgrep.fold_${table}(1)`);

  const rows = await query(url, "select 'torture.parent' as table, array[id::text]::text as key, tag from torture.parent union all select 'torture.child', array[id::text, part]::text, tag from torture.child"); // prettier-ignore
  const tags = new Map(rows.map((row) => [`${row['table']} ${row['key']}`, row['tag'] ?? null]));
  const histories = historiesOf(await readLog(url));
  expect(histories.length).toBeGreaterThan(30);
  expect([...tags.keys()].filter((name) => !histories.some(({ table, key }) => `${table} ${key}` === name))).toEqual(
    [],
  );
  const wrong = histories.filter((history) => {
    const tag = tags.get(`${history.table} ${history.key}`) ?? null;
    return !endsRight(history, tag) || discardedOf(history, tag).length > 0;
  });
  expect(wrong).toEqual([]);
  expect([...written.refused.keys()].filter((state) => !['23505', '40P01', '23503'].includes(state))).toEqual([]);
});
