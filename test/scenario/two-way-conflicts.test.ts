import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mesh } from '../integration/mesh.ts';
import type { PgrepProcess } from '../support/daemon.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'conflicts', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const tableSql = 'create table public.t (id integer primary key, info text, n numeric, tags text[])';
const rows = 'select id, info, n::text, tags from public.t order by id';

async function mesh(
  name: string,
  options: { nodes?: readonly string[]; sql?: string; add?: object } = {},
): Promise<Mesh> {
  const nodes = options.nodes ?? ['a', 'b'];
  const made = await Mesh.create(server, name, { nodes, sql: options.sql ?? tableSql });
  await made.sql('a', "insert into public.t (id, info, n) select i, 'first', i from generate_series(1, 5) i");
  await made.add({ to: nodes.slice(1), ...options.add });
  return made;
}

async function daemon(of: Mesh): Promise<PgrepProcess> {
  const started = of.spawn('run');
  await started.says(/"msg":"replaying"/);
  return started;
}

/** Runs statements at nodes that do not hear of each other meanwhile, then lets the replayers have them. */
async function apart(of: Mesh, changes: Readonly<Record<string, string>>): Promise<void> {
  for (const [node, sql] of Object.entries(changes)) await of.sql(node, sql);
  await using running = await daemon(of);
  expect(running.running).toBe(true);
  await equal(of);
}

async function equal(of: Mesh): Promise<void> {
  await waitFor(
    async () => {
      const { code } = await of.pgrep('wait', '--timeout', '20');
      const found = Object.values(await of.everywhere(rows)).map((each) => JSON.stringify(each));
      return code === 0 && new Set(found).size === 1;
    },
    { what: 'all nodes hold the same rows', deadlineMs: 40_000 },
  );
}

/**
 * What lost, with what beat it, over all nodes: each is kept by the node that found it, or by both when both found it. `-` is a row that is absent.
 */
async function lost(of: Mesh): Promise<readonly string[]> {
  const found =
    await of.everywhere(`select c.key[1] || ': ' || case c.verdict when 'local' then local_info || ' beat ' || remote_info when 'remote' then remote_info || ' beat ' || local_info
      else least(local_info, remote_info) || ' ' || c.verdict || ' ' || greatest(local_info, remote_info) end || ', ' ||
      case when c.kind in ('update/delete', 'delete/update') then 'update and delete' else c.kind end as line
    from pgrep.conflict c, lateral (select coalesce(c.local_row ->> 'info', '-') as local_info, coalesce(c.remote_row ->> 'info', '-') as remote_info) i`);
  return [...new Set(Object.values(found).flatMap((rows) => rows.map((row) => String(row['line']))))].toSorted();
}

describe('G5, G6: two nodes changed apart', () => {
  test('the later change of a row stands on both, the earlier one is kept at both with both rows', async () => {
    await using of = await mesh('kinds');
    await apart(of, {
      a: `update public.t set info = 'a' where id in (1, 3); delete from public.t where id = 2; insert into public.t (id, info) values (10, 'a')`,
      b: `update public.t set info = 'b' where id = 1; update public.t set info = 'b' where id = 2; delete from public.t where id = 3; insert into public.t (id, info) values (10, 'b')`,
    });
    expect(await of.sql('a', 'select id, info from public.t where id in (1, 2, 3, 10) order by id')).toEqual([
      { id: 1, info: 'b' },
      { id: 2, info: 'b' },
      { id: 10, info: 'b' },
    ]);
    expect(await lost(of)).toEqual([
      '10: b beat a, insert/insert',
      '1: b beat a, update/update',
      '2: b beat -, update and delete',
      '3: - beat a, update and delete',
    ]);
  });

  test('a TRUNCATE and a later write apart: the write stands, what the TRUNCATE took is gone everywhere', async () => {
    await using of = await mesh('truncated');
    await of.sql('a', 'truncate public.t');
    await of.sql('b', "update public.t set info = 'b' where id = 1; insert into public.t (id, info) values (11, 'b')");
    {
      await using toA = of.spawn('run', '--from', 'b', '--to', 'a');
      await waitFor(async () => (await of.sql('a', 'select from public.t')).length === 2, {
        what: 'the rows of b at a',
      });
      expect(toA.running).toBe(true);
    }
    await apart(of, {});
    expect(await of.sql('b', 'select id, info from public.t order by id')).toEqual([
      { id: 1, info: 'b' },
      { id: 11, info: 'b' },
    ]);
    // Both nodes find it; a row that was inserted has lost nothing to the TRUNCATE.
    const found = 'select key[1] as id, kind, verdict from pgrep.conflict';
    expect(await of.everywhere(found)).toEqual({
      a: [{ id: '1', kind: 'truncate/write', verdict: 'remote' }],
      b: [{ id: '1', kind: 'truncate/write', verdict: 'local' }],
    });
  });

  test('a write and a later TRUNCATE apart: the table is empty everywhere, the write is kept', async () => {
    await using of = await mesh('truncating');
    await apart(of, { a: "update public.t set info = 'a' where id = 1", b: 'truncate public.t' });
    expect(await of.sql('a', rows)).toEqual([]);
    expect(await lost(of)).toEqual(['1: - beat a, truncate/write']);
  });

  test('equal rows are agreement, and changes that saw each other are none', async () => {
    await using of = await mesh('agreed');
    await apart(of, {
      a: "update public.t set info = 'same' where id = 1",
      b: "update public.t set info = 'same' where id = 1",
    });
    await apart(of, { a: "update public.t set info = 'from a' where id = 2" });
    await apart(of, { b: "update public.t set info = info || ', then b' where id = 2" });
    await apart(of, { a: 'delete from public.t where id = 2' });
    await apart(of, { b: "insert into public.t (id, info) values (2, 'again')" });
    expect(await lost(of)).toEqual([]);
    expect(await of.sql('a', 'select info from public.t where id = 2')).toEqual([{ info: 'again' }]);
  });

  test('a restored loser is a new change that reaches every node', async () => {
    await using of = await mesh('restored');
    await apart(of, {
      a: "update public.t set info = 'a', n = 7.50 where id = 1",
      b: "update public.t set info = 'b' where id = 1",
    });
    const before = await lost(of);
    const kept = await of.everywhere('select id from pgrep.conflict');
    const [node = '', ids = []] = Object.entries(kept).find(([, found]) => found.length > 0) ?? [];
    const { code, stderr } = await of.pgrep('conflicts', 'restore', String(ids[0]?.['id']), '--node', node);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await apart(of, {});
    for (const each of of.nodes) expect(await of.sql(each, 'select info, n::text from public.t where id = 1')).toEqual([{ info: 'a', n: '7.50' }]); // prettier-ignore
    expect(await lost(of)).toEqual(before);
  });
});

describe('policies', () => {
  test('hold: both rows stay and are recorded until somebody writes the row again', async () => {
    await using of = await mesh('held', { add: { policy: 'hold' } });
    await of.sql('a', "update public.t set info = 'a' where id = 1");
    await of.sql('b', "update public.t set info = 'b' where id = 1; update public.t set info = 'passes' where id = 2");
    await using running = await daemon(of);
    const held = "select count(*)::integer as n from pgrep.sync_err_rec where reason = 'conflict' and key = '{1}'";
    await waitFor(async () => Object.values(await of.everywhere(held)).every(([row]) => row?.['n'] === 1), { what: 'both sides hold the row' }); // prettier-ignore
    await waitFor(async () => (await of.sql('a', 'select info from public.t where id = 2'))[0]?.['info'] === 'passes', { what: 'another row passes' }); // prettier-ignore
    await of.pgrep('retry-errors', '--limit', '10');
    const info = 'select info from public.t where id = 1';
    expect(await of.everywhere(info)).toEqual({ a: [{ info: 'a' }], b: [{ info: 'b' }] });
    expect(await lost(of)).toEqual(['1: a held b, update/update']);
    await of.sql('b', "update public.t set info = 'decided' where id = 1");
    await equal(of);
    expect(await of.sql('a', info)).toEqual([{ info: 'decided' }]);
    await of.pgrep('retry-errors', '--limit', '10');
    await waitFor(async () => Object.values(await of.everywhere(held)).every(([row]) => row?.['n'] === 0), { what: 'no record is left' }); // prettier-ignore
    expect(running.running).toBe(true);
  });

  test('function: three nodes agree on the merged row, whatever the order', async () => {
    const sql = `${tableSql};
create function public.join_t(a public.t, a_version bigint, b public.t, b_version bigint) returns public.t language sql immutable as $$
  select row(a.id, greatest(a.info, b.info), greatest(a.n, b.n), (select array_agg(distinct x order by x) from unnest(a.tags || b.tags) x))::public.t
$$`;
    await using of = await mesh('merged', {
      nodes: ['a', 'b', 'c'],
      sql,
      add: { policy: 'function', policyFunction: { schema: 'public', name: 'join_t' } },
    });
    await apart(of, {
      a: "update public.t set info = 'zebra', n = 1, tags = '{x}' where id = 1",
      b: "update public.t set info = 'ape', n = 30, tags = '{y}' where id = 1",
      c: "update public.t set info = 'cat', n = 2, tags = '{y,z}' where id = 1",
    });
    expect(await of.sql('c', 'select info, n::text, tags from public.t where id = 1')).toEqual([
      { info: 'zebra', n: '30', tags: ['x', 'y', 'z'] },
    ]);
  });
});

describe('a second unique constraint', () => {
  test('hit from two nodes is held on both, loses no row, blocks nothing else and clears when either row is mended', async () => {
    const sql = `${tableSql}; alter table public.t add column code text constraint t_code_key unique`;
    await using of = await mesh('unique', { sql });
    await of.sql('a', "insert into public.t (id, info, code) values (10, 'a', 'taken'), (11, 'passes', 'other')");
    await of.sql('b', "insert into public.t (id, info, code) values (20, 'b', 'taken')");
    await using running = await daemon(of);
    const held = "select count(*)::integer as n from pgrep.sync_err_rec where reason = '23505'";
    await waitFor(async () => Object.values(await of.everywhere(held)).every(([row]) => row?.['n'] === 1), { what: 'both sides hold their row' }); // prettier-ignore
    await waitFor(async () => (await of.sql('b', 'select from public.t where id = 11')).length === 1, { what: 'another row passes' }); // prettier-ignore
    expect(await of.sql('a', 'select id from public.t where code is not null order by id')).toEqual([{ id: 10 }, { id: 11 }]); // prettier-ignore
    expect(await of.sql('b', 'select id from public.t where code is not null order by id')).toEqual([{ id: 11 }, { id: 20 }]); // prettier-ignore
    expect(await lost(of)).toEqual(['10: a held b, unique', '20: a held b, unique']);
    await of.sql('b', "update public.t set code = 'free' where id = 20");
    await equal(of);
    await waitFor(async () => Object.values(await of.everywhere(held)).every(([row]) => row?.['n'] === 0), { what: 'no record is left', deadlineMs: 30_000 }); // prettier-ignore
    expect(await of.sql('a', 'select id, code from public.t where code is not null order by id')).toEqual([
      { id: 10, code: 'taken' },
      { id: 11, code: 'other' },
      { id: 20, code: 'free' },
    ]);
    expect(running.running).toBe(true);
  });
});
