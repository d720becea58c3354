import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { judgeClocks } from '../../src/app/doctor/clock.ts';
import { judgeLink } from '../../src/app/doctor/link.ts';
import {
  addTable,
  interleaveSequences,
  openApp,
  runDoctor,
  Secret,
  type App,
  type Finding,
  type LinkStatus,
} from '../../src/index.ts';
import type { Session } from '../../src/db/session.ts';
import { runPgrep } from '../support/daemon.ts';
import { freePort } from '../support/ports.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { NodeSet } from './node-set.ts';
import { never } from './replay-pair.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'doctor' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const tables = `create table p (id int primary key, v text);
create table t (id bigint primary key, v text, p int constraint t_p references p);
create index t_p_index on t (p);
create table q (id int primary key);
create table parts (id int primary key, v text) partition by range (id);
create table parts_1 partition of parts for values from (0) to (100);`;

const twoWay = `'{"twoWay": true, "policy": "last-write-wins"}'`;

async function open(): Promise<NodeSet> {
  return NodeSet.open(server, ['a', 'b'], tables);
}

async function route(set: NodeSet, name: string, from: string, to: string): Promise<void> {
  const options = { table: { schema: 'public', name }, from, to: [to], copy: false, replace: false, dryRun: false };
  await addTable(set.app, options, () => undefined, never);
}

/** t goes both ways, the other tables from a to b; there is no daemon. */
async function replicate(set: NodeSet): Promise<void> {
  for (const name of ['p', 'q', 't', 'parts']) await route(set, name, 'a', 'b');
  await route(set, 't', 'b', 'a');
  for (const node of ['a', 'b'])
    await set.client(node).query(`update pgrep.route set options = ${twoWay} where target_table = 't'`);
}

/** What is wrong, but for the daemon that is not there. */
async function problems(set: NodeSet): Promise<readonly Finding[]> {
  const { findings } = await runDoctor(set.app, {}, never);
  return findings.filter(({ level, message }) => level !== 'ok' && !message.startsWith('No daemon serves'));
}

interface Ill {
  readonly what: string;
  readonly node: 'a' | 'b';
  readonly spoil: string;
  readonly mend: string;
  readonly finds: Pick<Finding, 'level' | 'check'> & Partial<Finding> & { readonly says: RegExp };
}

const function_ = 'create function pick(a t, av bigint, b t, bv bigint) returns t language sql as $$ select a $$';

const ills: readonly Ill[] = [
  {
    what: 'a target table without its key', node: 'b', spoil: 'alter table p drop constraint p_pkey cascade', mend: 'alter table p add primary key (id); alter table t add constraint t_p foreign key (p) references p',
    finds: { level: 'error', check: 'key', table: 'public.p', says: /no unique index on \(id\)/ },
  },
  {
    what: 'a target table that is gone', node: 'b', spoil: 'alter table p rename to gone', mend: 'alter table gone rename to p',
    finds: { level: 'error', check: 'key', table: 'public.p', says: /has no table public\.p/ },
  },
  {
    what: 'a key column of another type', node: 'b', spoil: 'alter table q alter id type bigint', mend: 'alter table q alter id type int',
    finds: { level: 'warning', check: 'key', table: 'public.q', says: /Key column id of public\.q at b is bigint, but id .* is integer/ },
  },
  {
    what: 'a second unique key of a two-way table', node: 'b', spoil: 'create unique index by_v on t (v)', mend: 'drop index by_v',
    finds: { level: 'warning', check: 'unique', table: 'public.t', says: /by_v \(v\) is unique beside the key/ },
  },
  {
    what: 'an exclusion constraint of a two-way table', node: 'a', spoil: 'alter table t add constraint apart exclude (v with =)', mend: 'alter table t drop constraint apart',
    finds: { level: 'warning', check: 'unique', table: 'public.t', says: /apart \(exclusion\)/ },
  },
  {
    what: 'a deferrable unique constraint of a two-way table', node: 'b', spoil: 'alter table t drop constraint t_pkey, add constraint t_pkey primary key (id) deferrable', mend: 'alter table t drop constraint t_pkey, add primary key (id)',
    finds: { level: 'warning', check: 'deferrable', table: 'public.t', says: /t_pkey is deferrable/ },
  },
  {
    what: 'a deferrable unique constraint of a one-way table', node: 'b', spoil: 'alter table p add constraint late unique (v) deferrable', mend: 'alter table p drop constraint late',
    finds: { level: 'warning', check: 'deferrable', table: 'public.p', says: /late is deferrable/ },
  },
  {
    what: 'a trigger that runs for replicas', node: 'b', spoil: 'create function audit() returns trigger language plpgsql as $$ begin return new; end $$; create trigger audit before insert on parts_1 for each row execute function audit(); alter table parts_1 enable replica trigger audit', mend: 'drop function audit() cascade',
    finds: { level: 'warning', check: 'trigger', table: 'public.parts', says: /Trigger audit runs for replicated rows/ },
  },
  {
    what: 'a foreign key without an index', node: 'b', spoil: 'drop index t_p_index', mend: 'create index t_p_index on t (p)',
    finds: { level: 'warning', check: 'foreign-key', table: 'public.t', says: /t_p has no index on \(p\): each delete of a row of public\.p/ },
  },
  {
    what: 'a partition without capture triggers', node: 'a', spoil: 'create table parts_2 partition of parts for values from (100) to (200)', mend: 'drop table parts_2',
    finds: { level: 'warning', check: 'capture', table: 'public.parts_2', says: /parts_2 is new/ },
  },
  {
    what: 'a capture trigger that was dropped', node: 'b', spoil: 'alter table t disable trigger pgrep_insert', mend: 'alter table t enable always trigger pgrep_insert',
    finds: { level: 'warning', check: 'capture', table: 'public.t', says: /lacks the triggers pgrep_insert/ },
  },
  {
    what: 'a two-way route without its way back', node: 'b', spoil: `update pgrep.route set options = '{}'`, mend: `update pgrep.route set options = ${twoWay}`,
    finds: { level: 'error', check: 'two-way', table: 'public.t', says: /no two-way route back to a/ },
  },
  {
    what: 'a route with a column that is gone', node: 'a', spoil: 'alter table p rename v to w', mend: 'alter table p rename w to v',
    finds: { level: 'error', check: 'route', says: /no longer has the column v/ },
  },
  {
    what: 'a held row', node: 'a', spoil: `insert into pgrep.sync_err_rec (nsp_name, table_name, dst_server, dst_query, route_id, key, reason, message) select 'public', 'p', 'b', '', min(route_id), array['1'], '23505', '' from pgrep.route`, mend: 'delete from pgrep.sync_err_rec',
    finds: { level: 'warning', check: 'link', says: /a->b holds a row that b refused/ },
  },
]; // prettier-ignore

describe('doctor', () => {
  test('finds each ill once, at its node, with what to type, and not when it is mended', async () => {
    await using set = await open();
    await replicate(set);
    expect(await problems(set)).toEqual([]);
    for (const { what, node, spoil, mend, finds } of ills) {
      await set.client(node).query(spoil);
      const { says, ...finding } = finds;
      const found = (await problems(set)).filter(({ check, message }) => check === finding.check && !message.startsWith('Could not')); // prettier-ignore
      expect(found, what).toEqual([{ table: null, ...finding, node, message: expect.stringMatching(says) as string, advice: expect.stringMatching(/\S/) as string }]); // prettier-ignore
      await set.client(node).query(mend);
      expect(await problems(set), `${what}, mended`).toEqual([]);
    }
  });

  test('finds policies that differ, and a function that cannot be called', async () => {
    await using set = await open();
    await replicate(set);
    const policy = (name: string): string =>
      `update pgrep.route set options = '{"twoWay": true, "policy": "function", "function": "${name}"}' where target_table = 't'`;
    await set.client('a').query(policy('public.pick'));
    expect((await problems(set)).map(({ check, node }) => [check, node])).toEqual([
      ['two-way', 'b'],
      ['two-way', 'b'],
      ['two-way', 'a'],
    ]);
    await set.client('b').query(policy('public.pick'));
    await set.client('a').query(function_);
    expect(await problems(set)).toMatchObject([
      { check: 'two-way', node: 'b', message: expect.stringContaining('pick') as string },
    ]);
    await set.client('b').query(function_);
    expect(await problems(set)).toEqual([]);
    await set.everywhere(policy('pgrep.merge_greatest'));
    expect(await problems(set)).toEqual([]);
  });

  test('finds two-way columns of unlike types, key or not', async () => {
    await using set = await open();
    await replicate(set);
    await set.client('b').query('alter table t alter v type varchar(10)');
    const found = await problems(set);
    expect(found.map(({ check, level, node }) => [check, level, node])).toEqual([
      ['key', 'error', 'b'],
      ['key', 'error', 'a'],
    ]);
    await set.client('a').query('alter table t alter v type varchar(10)');
    expect(await problems(set)).toEqual([]);
  });

  test('finds serial keys that collide, until they are interleaved', async () => {
    await using set = await open();
    await set.everywhere('create sequence t_id owned by t.id; alter table t alter id set default nextval($$t_id$$)');
    await replicate(set);
    expect((await problems(set)).map(({ check, level, node }) => [check, level, node])).toEqual([
      ['sequence', 'error', 'a'],
      ['sequence', 'error', 'b'],
    ]);
    const group = ['a', 'b'].map((node) => ({ node, table: { schema: 'public', name: 't' }, key: ['id'] }));
    await interleaveSequences(set.app, { group, dryRun: false }, never);
    expect(await problems(set)).toEqual([]);
    await set.client('b').query('alter sequence t_id increment by 1');
    expect((await problems(set)).map(({ node }) => node)).toEqual(['a', 'b']);
  });

  test('advises a star to interleave its sequences without linking its nodes with each other', async () => {
    await using set = await NodeSet.open(server, ['hub', 'a', 'b'], 'create table s (id serial primary key)');
    const add = { table: { schema: 'public', name: 's' }, copy: true, replace: false, twoWay: true, dryRun: false };
    await addTable(set.app, { ...add, from: 'hub', to: ['a', 'b'], forward: true }, () => undefined, never);
    const advice = (await problems(set)).map((found) => found.advice?.replace(/.*--from (.*) --two-way.*/, '$1'));
    expect(advice).toEqual(['hub --to a,b', 'a --to hub', 'b --to hub']);
    await addTable(set.app, { ...add, from: 'a', to: ['hub'], sequences: 'interleave' }, () => undefined, never);
    expect(await problems(set)).toEqual([]);
    expect((await set.client('a').query('select target from pgrep.route')).rows).toEqual([{ target: 'hub' }]);
  });

  test('says what follows where the replica role is not granted, and nothing where that is accepted', async () => {
    await using set = await open();
    await replicate(set);
    const role = 'ordinary_doctor';
    await set.client('b').query(
      `create role ${role} login; grant all on schema pgrep, public to ${role}; grant all on all tables in schema pgrep to ${role}; grant all on all tables in schema public to ${role};
       grant all on all sequences in schema pgrep to ${role};
       create function audit() returns trigger language plpgsql as $$ begin return new; end $$; create trigger audit before insert on p for each row execute function audit()`,
    );
    expect(await problems(set)).toEqual([]);
    const database = new URL(set.urls['b'] ?? '').pathname.slice(1);
    const config = set.config({ b: server.url(database, role) });
    const asked = async (replicaRole: boolean): Promise<readonly Finding[]> => {
      const b = { kind: 'postgres' as const, postgres: new Secret(server.url(database, role)), replicaRole };
      await using app = openApp({ config: { ...config, nodes: { ...config.nodes, b } } });
      return (await runDoctor(app, { node: 'b' }, never)).findings.filter(({ level, check }) => level !== 'ok' && check !== 'link'); // prettier-ignore
    };
    expect(await asked(true)).toMatchObject([
      { check: 'trigger', table: 'public.p', message: expect.stringContaining('audit') as string },
      { check: 'replica-role', node: 'b', advice: expect.stringContaining(`grant set on parameter session_replication_role to "${role}"`) as string }, // prettier-ignore
    ]);
    expect(await asked(false)).toMatchObject([{ check: 'trigger' }]);
    await set.client('b').query(`grant set on parameter session_replication_role to ${role}`);
    expect(await asked(true)).toEqual([]);
  });

  test('tells nodes that do not answer, have no schema or another one, by exit status 4, 0 and 5', async () => {
    await using set = await open();
    const folder = mkdtempSync(join(tmpdir(), 'pgrep-doctor-'));
    const pgrep = async (nodes: Readonly<Record<string, string>>, ...args: string[]): ReturnType<typeof runPgrep> => {
      const file = { home: 'a', nodes: Object.fromEntries(Object.entries(nodes).map(([name, url]) => [name, { postgres: url }])) }; // prettier-ignore
      writeFileSync(join(folder, 'pgrep.json'), JSON.stringify(file));
      return runPgrep(['doctor', ...args], { cwd: folder });
    };
    try {
      const { a = '', b = '' } = set.urls;
      expect(await pgrep({ a, b })).toMatchObject({
        code: 0,
        stdout: '13 checks at 2 nodes: all is well.\n',
        stderr: '',
      });
      const empty = await server.createDatabase('doctor_empty');
      const bare = await pgrep({ a, empty });
      expect(bare).toMatchObject({ code: 0, stdout: expect.stringContaining('warning: empty (schema)') as string });
      const down = `postgres://127.0.0.1:${await freePort()}/x`;
      expect((await pgrep({ a, down })).code).toBe(4);
      expect((await pgrep({ a, down }, '--node', 'a')).code).toBe(0);
      await route(set, 'p', 'a', 'b');
      await set.client('b').query('drop table p cascade');
      expect((await pgrep({ a, b })).code).toBe(3);
      expect((await pgrep({ a, b }, '--node', 'a')).code).toBe(0);
      await set.client('b').query(`insert into pgrep.migration (name, checksum) values ('9999_later.sql', 'x')`);
      const newer = await pgrep({ a, b }, '--json');
      expect([newer.code, JSON.parse(newer.stdout)]).toMatchObject([5, { verdict: 'schema' }]);
      await set.client('b').query(`delete from pgrep.migration where name > '0001'`);
      const older = await pgrep({ a, b });
      expect(older).toMatchObject({ code: 5, stdout: expect.stringContaining('older than this program') as string });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('a node that is lost while doctor looks makes the verdict unreachable, as one that did not answer at all', async () => {
  await using set = await open();
  // The real one answers to the end: its connection is cut between the catalog and the first check.
  const app: App = {
    ...set.app,
    config: set.app.config,
    logger: set.app.logger,
    ownSession: (node) => set.app.ownSession(node),
    session: async (node) => (node === 'b' ? cutAtClock(await set.app.session(node)) : set.app.session(node)),
  };
  const { findings, verdict } = await runDoctor(app, {}, never);
  expect(verdict).toBe('unreachable');
  expect(findings).toContainEqual(expect.objectContaining({ level: 'error', check: 'clock', message: expect.stringMatching(/^Could not be checked: /) as string })); // prettier-ignore
});

function cutAtClock(session: Session): Session {
  return new Proxy(session, {
    get: (of, name) => {
      if (name !== 'query') return Reflect.get(of, name, of) as unknown;
      return async (text: string, values?: readonly unknown[]) => {
        if (text.includes('clock_timestamp')) of.destroy();
        return await of.query(text, values);
      };
    },
  });
}

describe('clocks', () => {
  const home = { node: 'a', offsetMs: 1_000_000, errorMs: 0.1 };
  const settings = { maxSkewMs: 300_000, twoWay: true };
  test.each([
    ['within a second', 1_000_900, 0.1, settings, []],
    ['within a second of a slow round trip', 1_002_900, 2_000, settings, []],
    ['ahead', 1_002_500, 10, settings, ['warning: 2.5 s ahead of']],
    ['behind', 997_000, 10, settings, ['warning: 3.0 s behind']],
    ['so far ahead that links stop', 1_400_000, 10, settings, ['error: 400.0 s ahead of']],
    [
      'so far ahead, but no route is two-way',
      1_400_000,
      10,
      { ...settings, twoWay: false },
      ['warning: 400.0 s ahead of'],
    ],
  ] as const)('%s', (...[, offsetMs, errorMs, given, said]) => {
    const found = judgeClocks(home, [home, { node: 'b', offsetMs, errorMs }], given);
    expect(
      found.map(({ level, message }) => `${level}: ${/[\d.]+ s (ahead of|behind)/.exec(message)?.[0] ?? ''}`),
    ).toEqual(said);
  });
});

test.each([
  ['running', 0, []],
  ['copying', 0, []],
  ['stopped', 0, ['error']],
  ['retrying', 0, ['warning']],
  ['no daemon', 2, ['warning', 'warning']],
  ['stopped', 1, ['error', 'warning']],
] as const)('a link that is %s and holds %d rows: %j', (state, held, levels) => {
  const link: LinkStatus = { source: 'a', target: 'b', state, lagSeconds: 0, lagKeys: 0, rate: 0, held, tables: 1, copying: 0, catchingUp: false, lastError: 'why', appliedAt: null }; // prettier-ignore
  expect(judgeLink(link).map(({ level }) => level)).toEqual(levels);
});
