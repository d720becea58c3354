import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { reportKey } from '../../src/torture/check/key-report.ts';
import { differencesOf } from '../../src/torture/check/equal.ts';
import { readKept, readRows } from '../../src/torture/check/read-node.ts';
import { Cluster, type TortureNode } from '../../src/torture/cluster.ts';
import { heal, inflict } from '../../src/torture/faults/inflict.ts';
import type { FaultEvent } from '../../src/torture/faults/schedule.ts';
import { found } from '../../src/torture/membership.ts';
import { Replayers } from '../../src/torture/replayers.ts';
import { shapeOf } from '../../src/torture/topology.ts';
import { packageRoot } from '../support/package-root.ts';
import { waitFor } from '../support/wait.ts';

const never = new AbortController().signal;
let cluster: Cluster;
let replayers: Replayers;
let a: TortureNode;
let b: TortureNode;

beforeAll(async () => {
  cluster = new Cluster();
  await found(cluster, { shape: shapeOf('mesh', 2), allKeys: 20 }, never);
  replayers = new Replayers(cluster, { program: join(packageRoot, 'dist', 'cli', 'main.js'), each: true });
  replayers.start();
  [a, b] = cluster.members as [TortureNode, TortureNode];
  await arrives();
});
afterAll(async () => {
  const { folder } = cluster;
  await replayers[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
  expect(existsSync(folder)).toBe(false);
});

const text = async (node: TortureNode, sql: string): Promise<string> => String((await cluster.query(node, sql))[0]?.['x']); // prettier-ignore
let notes = 0;

/** Writes at a. */
async function write(): Promise<string> {
  notes += 1;
  await cluster.query(a, `update torture.parent set note = 'note ${notes}' where id = 2`);
  return `note ${notes}`;
}

/** What is written at a comes to b. */
async function arrives(note?: string): Promise<void> {
  const wanted = note ?? (await write());
  await waitFor(async () => (await text(b, 'select p.note as x from torture.parent p where p.id = 2')) === wanted, { what: `${wanted} at b`, deadlineMs: 60_000 }); // prettier-ignore
}

async function happens(node: TortureNode, event: FaultEvent, forMs = 0): Promise<boolean> {
  return await inflict({ atMs: 0, forMs, node: node.name, event }, { cluster, replayers }, never);
}

const sessionsSql = "select pg_catalog.string_agg(s.pid::text, ',' order by s.pid) as x from pg_catalog.pg_stat_activity s where s.application_name = 'pgrep-replayer'"; // prettier-ignore

test('a server that is killed crashes, comes back, and goes on', async () => {
  const started = 'select pg_catalog.pg_postmaster_start_time() as x';
  const before = await text(a, started);
  expect(await happens(a, { kind: 'kill server' })).toBe(true);
  expect(await text(a, started)).not.toBe(before);
  await arrives();
});

test.each([
  ['cut', { kind: 'cut' }],
  ['kill replayer', { kind: 'kill replayer' }],
] as const)('%s: replication comes in other sessions afterwards', async (_, event) => {
  const before = (await text(b, sessionsSql)).split(',');
  expect(await happens(b, event)).toBe(true);
  if (event.kind === 'kill replayer') expect(await happens(a, event)).toBe(true);
  await arrives();
  expect((await text(b, sessionsSql)).split(',').filter((pid) => before.includes(pid))).toEqual([]);
  expect(replayers.ended).toEqual([]);
});

test.each(['blackhole', 'refuse'] as const)('%s: nothing arrives before it is over', async (kind) => {
  const over = happens(b, { kind }, 2_000);
  const note = await write();
  expect(await over).toBe(true);
  // Looked at past the proxy, at once.
  expect(await text(b, 'select p.note as x from torture.parent p where p.id = 2')).not.toBe(note);
  await arrives(note);
});

/** A session through the proxy of a node; gives the milliseconds of a round trip. */
async function throughProxy({
  proxy,
  server,
}: TortureNode): Promise<AsyncDisposable & { roundTripMs(): Promise<number> }> {
  const client = new pg.Client({ connectionString: proxy.url(server.url()) });
  client.on('error', () => undefined);
  await client.connect();
  return {
    async roundTripMs() {
      const begun = performance.now();
      await client.query('select 1');
      return performance.now() - begun;
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

test('slow: a round trip through the node’s proxy takes the delay each way while it lasts, through another’s and afterwards it does not', async () => {
  const delayMs = 500;
  const over = new AbortController();
  {
    await using toA = await throughProxy(a);
    await using toB = await throughProxy(b);
    const slow = inflict({ atMs: 0, forMs: 60_000, node: b.name, event: { kind: 'slow', delayMs } }, { cluster, replayers }, over.signal); // prettier-ignore
    // A timer may be early by a millisecond or two.
    for (let turn = 0; turn < 3; turn += 1) expect(await toB.roundTripMs()).toBeGreaterThan(2 * delayMs - 5);
    // Waited for: a busy machine may be slow as well, now and then.
    await waitFor(async () => (await toA.roundTripMs()) < delayMs, { what: 'a quick round trip to a' });
    // What is slow arrives all the same.
    await arrives();
    expect(await toB.roundTripMs()).toBeGreaterThan(2 * delayMs - 5);
    over.abort();
    expect(await slow).toBe(true);
  }
  await using again = await throughProxy(b);
  await waitFor(async () => (await again.roundTripMs()) < delayMs, { what: 'a quick round trip to b' });
  await arrives();
});

test('lose reply: it is a replayer’s COMMIT of rows that gets no answer, and its rows arrive all the same', async () => {
  const trap = vi.spyOn(b.proxy, 'dropReplyAfter');
  expect(await happens(b, { kind: 'lose reply' })).toBe(true);
  const note = await write();
  await trap.mock.results[0]?.value;
  await arrives(note);
});

test('a clock that is stepped moves the versions of what is written next, ahead and back', async () => {
  const ahead = "select pg_catalog.round((c.version >> 8) / 1000000.0 - extract(epoch from pg_catalog.clock_timestamp()))::text as x from pgrep_torture.commit c order by c.ordinal desc limit 1"; // prettier-ignore
  const logged = async (): Promise<number> => {
    await cluster.query(a, `begin; update torture.parent set n = n + 1 where id = 4; select pgrep_torture.log_commit(); commit`); // prettier-ignore
    return Number(await text(a, ahead));
  };
  expect(await happens(a, { kind: 'skew', offsetMs: 100_000 })).toBe(true);
  expect(await logged()).toBeGreaterThan(95);
  await happens(a, { kind: 'skew', offsetMs: -100_000 });
  await heal({ cluster, replayers });
  await arrives();
});

test('a node that is lost, or not there yet, has no faults', async () => {
  expect(await happens({ ...a, name: 'z' }, { kind: 'cut' })).toBe(false);
});

test('a row that differs is found, and everything about its key is told; what is held and kept is counted', async () => {
  await cluster.query(b, "set application_name = 'pgrep-replayer'; update torture.parent set note = 'another' where id = 6"); // prettier-ignore
  const rows = new Map([['a', await readRows(cluster, a)], ['b', await readRows(cluster, b)]]); // prettier-ignore
  expect(differencesOf(rows).map(({ table, key }) => [table, key])).toEqual([['torture.parent', '["6"]']]);
  const report = await reportKey(cluster, { table: 'torture.parent', key: '["6"]' }, []);
  expect(report[0]).toBe('torture.parent ["6"]');
  expect(report.filter((line) => line.includes(' row '))).toEqual([expect.stringMatching(/^ {2}a row .*"note":"initial"/), expect.stringMatching(/^ {2}b row .*"note":"another"/)]); // prettier-ignore
  await replayers[Symbol.asyncDispose]();
  await cluster.query(b, "insert into pgrep.sync_err_rec (route_id, nsp_name, table_name, dst_server, dst_query, key, reason, message) select r.route_id, 'torture', 'parent', 'a', 'x', '{6}', 'x', 'x' from pgrep.route r limit 1"); // prettier-ignore
  await write();
  expect([(await readKept(cluster, a)).queued > 0, (await readKept(cluster, b)).held]).toEqual([true, 1]);
});
