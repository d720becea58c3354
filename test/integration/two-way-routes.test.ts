import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSession } from '../../src/db/session.ts';
import { installVersions } from '../../src/versions/install-versions.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { fill, layout, Mesh, remove, tableSql, wins } from './mesh.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'two-way' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function fresh(name: string, nodes: readonly string[] = ['a', 'b', 'c'], sql = tableSql): Promise<Mesh> {
  return await Mesh.create(server, name, { nodes, sql });
}

describe('a two-way table', () => {
  test('of three nodes has a route each way of each pair, versions and triggers everywhere, and every node known to every other', async () => {
    await using mesh = await fresh('three');
    await mesh.sql('a', fill);
    const result = await mesh.add({ to: ['b', 'c'] });
    expect(result.initialised).toEqual(['a', 'b', 'c']);
    expect(await layout(mesh)).toEqual({
      a: [`t->b.t live${wins}`, `t->c.t live${wins}`],
      b: [`t->a.t live${wins}`, `t->c.t live${wins}`],
      c: [`t->a.t live${wins}`, `t->b.t live${wins}`],
    });
    const known = await mesh.everywhere('select node_id, name, is_self from pgrep.node order by node_id');
    for (const [node, rows] of Object.entries(known)) {
      expect(rows).toEqual(
        ['a', 'b', 'c'].map((name, index) => ({ node_id: index + 1, name, is_self: name === node })),
      );
    }
    for (const rows of Object.values(
      await mesh.everywhere('select count(*)::integer as n, min(id) as least from public.t'),
    )) {
      expect(rows).toEqual([{ n: 20, least: 1 }]);
    }
    for (const rows of Object.values(
      await mesh.everywhere('select count(*)::integer as n from pgrep.versioned_table'),
    )) {
      expect(rows).toEqual([{ n: 1 }]);
    }
  });

  test('repeated changes nothing, with or without --two-way', async () => {
    await using mesh = await fresh('again');
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b', 'c'] });
    const before = await mesh.everywhere('select * from pgrep.route order by route_id');
    for (const options of [{}, { twoWay: false }]) {
      const result = await mesh.add({ to: ['b', 'c'], ...options });
      expect(result.routes.map(({ change, copiedRows }) => [change, copiedRows])).toEqual(
        Array(6).fill(['unchanged', 0]),
      );
    }
    expect(await mesh.everywhere('select * from pgrep.route order by route_id')).toEqual(before);
  });

  test('has the reverse mapping on the way back, and equal names between two targets', async () => {
    const other = 'create schema r; create table r.t2 (id integer primary key, n integer, note text, own text)';
    await using mesh = await fresh('renamed', ['a', 'b', 'c'], `${tableSql}; ${other}`);
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b', 'c'], as: { schema: 'r', name: 't2' }, map: { info: 'note' } });
    const columns = await mesh.everywhere(
      "select target || ': ' || columns::text as c from pgrep.route order by target",
    );
    const id = '{"source": "id", "target": "id"}, {"source": "n", "target": "n"}';
    expect(columns).toEqual({
      a: ['b', 'c'].map((to) => ({ c: `${to}: [${id}, {"source": "info", "target": "note"}]` })),
      b: [
        { c: `a: [${id}, {"source": "note", "target": "info"}]` },
        { c: `c: [${id}, {"source": "note", "target": "note"}]` },
      ],
      c: [
        { c: `a: [${id}, {"source": "note", "target": "info"}]` },
        { c: `b: [${id}, {"source": "note", "target": "note"}]` },
      ],
    });
    expect(await mesh.sql('c', 'select count(*)::integer as n, count(note)::integer as notes from r.t2')).toEqual([
      { n: 20, notes: 20 },
    ]);
    await mesh.sql('a', 'create table public.b (like public.t)');
    // Named from the other end it is the same mesh.
    const again = await mesh.add({ table: { schema: 'r', name: 't2' }, from: 'c', to: ['b'], twoWay: false });
    expect(again.routes.map(({ change }) => change)).toEqual(['unchanged', 'unchanged']);
  });

  test('with --columns leaves the other columns to each node', async () => {
    await using mesh = await fresh('subset', ['a', 'b']);
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b'], columns: ['id', 'n'] });
    expect(await mesh.sql('b', 'select jsonb_array_length(columns) as n from pgrep.route')).toEqual([{ n: 2 }]);
    expect(await mesh.sql('b', 'select count(n)::integer as n, count(info)::integer as infos from public.t')).toEqual([
      { n: 20, infos: 0 },
    ]);
  });

  test('leaves out what either end generates', async () => {
    await using mesh = await fresh(
      'generated',
      ['a', 'b'],
      'create table public.t (id integer primary key, n integer)',
    );
    await mesh.sql('a', 'alter table public.t add double integer generated always as (n * 2) stored');
    await mesh.sql('b', 'alter table public.t add double integer');
    await mesh.add({ to: ['b'] });
    expect(
      await mesh.sql('b', "select columns #>> '{1,source}' as last, jsonb_array_length(columns) as n from pgrep.route"),
    ).toEqual([{ last: 'n', n: 2 }]);
  });

  test('with --no-copy begins at once both ways and copies nothing', async () => {
    await using mesh = await fresh('equal', ['a', 'b'], `${tableSql}; ${fill}`);
    await mesh.sql('b', 'update public.t set n = 0 where id = 1');
    const result = await mesh.add({ to: ['b'], copy: false });
    expect(result.routes.map(({ change, copiedRows }) => [change, copiedRows])).toEqual([
      ['added', 0],
      ['added', 0],
    ]);
    expect(await layout(mesh)).toEqual({ a: [`t->b.t live${wins}`], b: [`t->a.t live${wins}`] });
    expect(await mesh.everywhere('select n from public.t where id = 1')).toEqual({ a: [{ n: 1 }], b: [{ n: 0 }] });
  });

  test('joined by a third node gets the two new pairs; only the new node is copied to', async () => {
    await using mesh = await fresh('joined');
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b'] });
    const result = await mesh.add({ to: ['b', 'c'] });
    expect(
      result.routes.map(({ route, change, copiedRows }) => `${route.source}${route.target} ${change} ${copiedRows}`),
    ).toEqual(['ab unchanged 0', 'ba unchanged 0', 'ac added 20', 'ca added 0', 'bc added 0', 'cb added 0']);
    expect(await mesh.sql('c', 'select count(*)::integer as n from public.t')).toEqual([{ n: 20 }]);
    expect((await layout(mesh))['c']).toEqual([`t->a.t live${wins}`, `t->b.t live${wins}`]);
  });

  test('of a one-way route becomes two-way and copies nothing again', async () => {
    await using mesh = await fresh('converted', ['a', 'b']);
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b'], twoWay: false });
    expect((await layout(mesh))['a']).toEqual(['t->b.t live {} one-way']);
    const result = await mesh.add({ to: ['b'] });
    expect(result.routes.map(({ change, copiedRows }) => [change, copiedRows])).toEqual([
      ['changed', 0],
      ['added', 0],
    ]);
    expect(await layout(mesh)).toEqual({ a: [`t->b.t live${wins}`], b: [`t->a.t live${wins}`] });
  });

  test('with --forward is a star: only the hub is linked with each, and its routes forward', async () => {
    await using mesh = await fresh('star', ['a', 'b', 'c', 'd']);
    await mesh.pgrep('init');
    await mesh.sql('b', fill);
    await mesh.add({ from: 'b', to: ['a', 'c'], forward: true });
    const forwards = ' {"policy": "last-write-wins", "forward": true}';
    expect(await layout(mesh)).toMatchObject({
      a: [`t->b.t live${wins}`],
      b: [`t->a.t live${forwards}`, `t->c.t live${forwards}`],
      c: [`t->b.t live${wins}`],
    });
    // A chain goes on from its end, whose routes forward from then on, the old one too.
    await mesh.add({ from: 'c', to: ['d'], forward: true });
    expect(await layout(mesh)).toMatchObject({
      c: [`t->b.t live${forwards}`, `t->d.t live${forwards}`],
      d: [`t->c.t live${wins}`],
    });
    expect(await mesh.sql('d', 'select count(*)::integer as n from public.t')).toEqual([{ n: 20 }]);
    expect((await mesh.sql('a', 'select name from pgrep.node order by name')).map(({ name }) => name)).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  test('gets another policy in both directions', async () => {
    await using mesh = await fresh('policy', ['a', 'b']);
    await mesh.add({ to: ['b'] });
    await mesh.add({ to: ['b'], policy: 'hold', twoWay: false });
    expect(await layout(mesh)).toEqual({
      a: ['t->b.t live {"policy": "hold"}'],
      b: ['t->a.t live {"policy": "hold"}'],
    });
    for (const node of ['a', 'b']) {
      await mesh.sql(
        node,
        'create function public.pick(a public.t, av bigint, b public.t, bv bigint) returns public.t language sql as $$ select a $$',
      );
    }
    const policyFunction = { schema: 'public', name: 'pick' };
    await mesh.add({ to: ['b'], policy: 'function', policyFunction });
    const named = 't->a.t live {"policy": "function", "function": "\\"public\\".\\"pick\\""}';
    expect((await layout(mesh))['b']).toEqual([named]);
    await mesh.add({ to: ['b'] });
    expect((await layout(mesh))['b']).toEqual([named]);
  });

  test('of which one end was interrupted is finished by the same command', async () => {
    await using mesh = await fresh('resumed');
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b', 'c'] });
    await mesh.sql(
      'a',
      `update pgrep.route set state = 'copying', options = options || '{"copyAnew": true}' where target = 'c'`,
    );
    await mesh.sql('b', `delete from pgrep.route where target = 'c'`);
    // As if its copy had not come yet: nobody's change.
    await mesh.sql('c', "set application_name = 'pgrep-replayer'; delete from public.t; reset application_name");
    await mesh.add({ to: ['b', 'c'] });
    expect(await mesh.sql('c', 'select count(*)::integer as n from public.t')).toEqual([{ n: 20 }]);
    expect((await layout(mesh))['b']).toEqual([`t->a.t live${wins}`, `t->c.t live${wins}`]);
  });
});

describe('add-table beside or with a two-way table', () => {
  test('begins a one-way position only after the batches that arrive just then', async () => {
    await using mesh = await fresh('barrier');
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b'] });
    await using arrival = await openSession({ node: 'b', url: mesh.url('b') });
    await arrival.script('begin; select pg_advisory_xact_lock_shared(482770018, 1)');
    await mesh.pgrep('init', 'c');
    const added = mesh.add({ from: 'b', to: ['c'], twoWay: false });
    const waits =
      "select count(*)::integer as n from pg_locks where locktype = 'advisory' and classid = 482770018 and not granted";
    await waitFor(async () => (await mesh.sql('b', waits))[0]?.['n'] === 1, {
      what: 'add-table to wait',
      deadlineMs: 30_000,
    });
    expect(await mesh.sql('b', "select state from pgrep.route where target = 'c'")).toEqual([{ state: 'copying' }]);
    expect(await mesh.sql('c', 'select count(*)::integer as n from pgrep.table_position')).toEqual([{ n: 0 }]);
    // What that batch brings is there when the copy begins.
    await arrival.script("insert into public.t values (1000, 0, 'arrived'); commit");
    await added;
    expect(await mesh.sql('c', 'select count(*)::integer as n from public.t where id = 1000')).toEqual([{ n: 1 }]);
  });

  test('leaves the two-way routes as they are when a one-way target of the same command is refused', async () => {
    await using mesh = await fresh('mixed');
    await mesh.add({ to: ['b'] });
    await mesh.sql('a', `update pgrep.route set state = 'copying', options = options || '{"copyAnew": true}'`);
    await mesh.sql('c', 'drop table public.t');
    const stored = 'select * from pgrep.route';
    const before = await mesh.sql('a', stored);
    await expect(mesh.add({ to: ['b', 'c'], twoWay: false })).rejects.toMatchObject({
      message: expect.stringMatching(/public\.t/) as string,
      hint: expect.stringMatching(/create table/) as string,
    });
    expect(before).toMatchObject([{ target: 'b', state: 'copying' }]);
    expect(await mesh.sql('a', stored)).toEqual(before);
  });

  test('with --sequences interleave gives each node numbers of its own, again when a node joins', async () => {
    const sql = 'create table public.t (id bigint generated by default as identity primary key, n integer)';
    await using mesh = await fresh('sequences', ['a', 'b', 'c'], sql);
    const first = await mesh.pgrep('add-table', 'public.t', '--to', 'b', '--two-way', '--sequences', 'interleave');
    expect([first.code, first.stdout]).toEqual([
      0,
      expect.stringMatching(/a: public\.t\.id goes on at 1 in steps of 256\./),
    ]);
    const { sequences } = await mesh.add({ to: ['b', 'c'], sequences: 'interleave' });
    expect(sequences.map(({ node }) => node)).toEqual(['a', 'b', 'c']);
    const ids = await mesh.everywhere('insert into public.t (n) values (1) returning id % 256 as class');
    expect(ids).toEqual({ a: [{ class: '1' }], b: [{ class: '2' }], c: [{ class: '3' }] });
  });
});

describe('remove-table', () => {
  test('ends a two-way table at all its nodes', async () => {
    await using mesh = await fresh('removed');
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b', 'c'] });
    const result = await remove(mesh, { from: 'b' });
    expect(result).toMatchObject({ captureDropped: true, warnings: [] });
    expect([...result.captureDroppedAt].sort()).toEqual(['a', 'b', 'c']);
    const left = `select (select count(*) from pgrep.route)::integer + (select count(*) from pgrep.captured_table)::integer + (select count(*) from pgrep.versioned_table)::integer
      + (select count(*) from pg_class where relname ~ 'row_version|queue_1')::integer + (select count(*) from pg_trigger where not tgisinternal)::integer as n`;
    for (const rows of Object.values(await mesh.everywhere(left))) expect(rows).toEqual([{ n: 0 }]);
    for (const rows of Object.values(await mesh.everywhere('select count(*)::integer as n from public.t')))
      expect(rows).toEqual([{ n: 20 }]);
    // And it can be added again.
    await mesh.add({ to: ['b', 'c'], copy: false });
  });

  test('--to ends both directions of that pair, says what is left apart, and keeps versions where pairs remain', async () => {
    await using mesh = await fresh('unpaired');
    await mesh.add({ to: ['b', 'c'] });
    const result = await remove(mesh, { to: ['b'] });
    expect(result.removed.map(({ source, target }) => source + target).sort()).toEqual(['ab', 'ba']);
    expect(result.warnings).toEqual([
      expect.stringMatching(/of a is still kept equal with c, but no longer with b/),
      expect.stringMatching(/of b is still kept equal with c, but no longer with a/),
    ]);
    expect(await layout(mesh)).toMatchObject({ a: [`t->c.t live${wins}`], b: [`t->c.t live${wins}`] });
    expect(await mesh.sql('a', 'select count(*)::integer as n from pgrep.versioned_table')).toEqual([{ n: 1 }]);
    await remove(mesh, { from: 'c', to: ['b'] });
    expect(await mesh.sql('b', 'select count(*)::integer as n from pgrep.captured_table')).toEqual([{ n: 0 }]);
    expect(await mesh.sql('c', 'select count(*)::integer as n from pgrep.versioned_table')).toEqual([{ n: 1 }]);
  });

  test('refuses a target that the table does not have, and removes none; of a table without routes nothing is left to refuse', async () => {
    await using mesh = await fresh('no_target');
    await mesh.add({ to: ['b', 'c'] });
    const before = await layout(mesh);
    await expect(remove(mesh, { to: ['b', 'typo'] })).rejects.toMatchObject({
      code: 'route',
      message: 'public.t of node a is not replicated to typo.',
      hint: 'It is replicated to: b, c.',
    });
    expect(await layout(mesh)).toEqual(before);
    // As a command leaves it that was interrupted before it ended capture.
    await mesh.sql('a', 'delete from pgrep.route');
    expect(await remove(mesh, { to: ['b', 'c'] })).toMatchObject({ removed: [], captureDroppedAt: ['a'] });
  });

  test('keeps a one-way route beside two-way ones, without versions', async () => {
    await using mesh = await fresh('beside');
    await mesh.add({ to: ['b'] });
    await mesh.add({ to: ['c'], twoWay: false });
    await remove(mesh, { to: ['b'] });
    expect((await layout(mesh))['a']).toEqual(['t->c.t live {} one-way']);
    expect(
      await mesh.sql(
        'a',
        "select to_regclass('pgrep.row_version_1') as sidecar, to_regclass('pgrep.queue_1')::text as queue",
      ),
    ).toEqual([{ sidecar: null, queue: 'pgrep.queue_1' }]);
  });
});

test("a table's functions are brought to this version's text all at once or not at all", async () => {
  await using mesh = await fresh('functions', ['a', 'b']);
  await mesh.add({ to: ['b'] });
  const body = (name: string): string =>
    `select prosrc from pg_proc where proname = '${name}' and pronamespace = 'pgrep'::regnamespace`;
  const [current] = await mesh.sql('a', body('fold_1'));
  await mesh.sql('a', `do $$ begin execute replace(pg_get_functiondef('pgrep.fold_1'::regproc), 'begin', '/* older */ begin'); end $$`); // prettier-ignore
  const [older] = await mesh.sql('a', body('fold_1'));
  expect(older).not.toEqual(current);
  // Fails after that of folding was dropped and made.
  await mesh.sql('a', 'create view public.uses as select pgrep.floor_1()');
  await using session = await openSession({ node: 'a', url: mesh.url('a') });
  await expect(installVersions(session, '1')).rejects.toMatchObject({ code: '2BP01' });
  expect(await mesh.sql('a', body('fold_1'))).toEqual([older]);
  await mesh.sql('a', 'drop view public.uses');
  await installVersions(session, '1');
  expect(await mesh.sql('a', body('fold_1'))).toEqual([current]);
});

describe('--dry-run', () => {
  test('shows what each node gets, and changes nothing', async () => {
    await using mesh = await fresh('dry', ['a', 'b']);
    await mesh.pgrep('init');
    const printed = await mesh.pgrep(
      'add-table',
      'public.t',
      '--to',
      'b',
      '--two-way',
      '--policy',
      'hold',
      '--dry-run',
    );
    expect([printed.code, printed.stderr]).toEqual([0, '']);
    // The functions of versions have their own golden file.
    const text = printed.stdout.replaceAll(/as \$pgrep\$[^]*?\$pgrep\$/g, 'as …');
    await expect(text).toMatchFileSnapshot('../golden/dry-run-add-table-two-way.txt');
    for (const rows of Object.values(await mesh.everywhere('select count(*)::integer as n from pgrep.captured_table')))
      expect(rows).toEqual([{ n: 0 }]);
    await mesh.add({ to: ['b'] });
    const removed = await mesh.pgrep('remove-table', 'public.t', '--dry-run');
    await expect(removed.stdout).toMatchFileSnapshot('../golden/dry-run-remove-table-two-way.txt');
    expect(await layout(mesh)).toEqual({ a: [`t->b.t live${wins}`], b: [`t->a.t live${wins}`] });
  });

  test('prints statements that change a policy as the command does', async () => {
    await using mesh = await fresh('dry_policy', ['a', 'b']);
    const merged = { schema: 'pgrep', name: 'merge_greatest' };
    await mesh.add({ to: ['b'], policy: 'function', policyFunction: merged });
    const { sql } = await mesh.add({ to: ['b'], policy: 'hold', dryRun: true });
    for (const { node, text } of sql.filter((each) => each.text.startsWith('update '))) await mesh.sql(node, text);
    const hold = ' {"policy": "hold"}';
    expect(await layout(mesh)).toEqual({ a: [`t->b.t live${hold}`], b: [`t->a.t live${hold}`] });
    expect((await mesh.add({ to: ['b'] })).routes.map(({ change }) => change)).toEqual(['unchanged', 'unchanged']);
  });
});
