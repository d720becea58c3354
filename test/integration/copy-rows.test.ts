import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addTable } from '../../src/app/add-table.ts';
import { copyTable } from '../../src/app/copy.ts';
import type { AddTableOptions, CopyProgress } from '../../src/app/results.ts';
import { PgrepError } from '../../src/core/error.ts';
import { Pair } from '../scenario/pair.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'copy' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const never = new AbortController().signal;
const silent = (): void => undefined;
const table = { schema: 'public', name: 't' };

async function add(
  pair: Pair,
  options: Partial<AddTableOptions> = {},
  progress: CopyProgress = silent,
  signal = never,
): Promise<void> {
  await using app = pair.app();
  const defaults = { table, to: ['remote'], copy: true, replace: false, dryRun: false };
  await addTable(app, { ...defaults, ...options }, progress, signal);
}

/** A pair with small chunks, the same table at both nodes and rows at the source. */
async function filled(name: string, definition: string, rows: string): Promise<Pair> {
  const pair = await Pair.create(name, { local: server, remote: server });
  pair.configure({ replayer: { copyChunkRows: 7 } });
  await pair.both(`create table public.t ${definition}`);
  await pair.sql('local', `insert into public.t ${rows}`);
  return pair;
}

const all = 'select t::text as row from public.t order by 1';

describe('a copy in chunks brings every row once,', () => {
  const cases: readonly [string, string, string][] = [
    ['by a composite key', '(a integer, b text, c date, v text, primary key (b, a, c))', "select i % 5, 'k' || i % 3, date '2024-01-01' + i, 'v' || i from generate_series(1, 100) i"],
    ['by text keys in a collation of their own', '(k text collate "de-x-icu" primary key, v integer)', "select chr(64 + i) || chr(128 + i), i from generate_series(1, 90) i union all select lower(chr(64 + i)) || 'ä', i from generate_series(1, 26) i"],
    ['by keys that compare equal in other letter case', '(k text collate "ci" primary key, v integer)', "select 'Key' || i, i from generate_series(1, 60) i"],
    ['by keys of fixed length', '(k char(6) primary key, v bit(5))', "select 'k' || i, i::bit(5) from generate_series(1, 60) i"],
    ['by numbers with infinities and NaN', '(k float8 primary key, n numeric unique, v integer)', "select i / 3.0, i, i from generate_series(-20, 20) i union all values ('NaN'::float8, 'NaN'::numeric, 1), ('Infinity', 'Infinity', 2), ('-Infinity', '-Infinity', 3)"],
    ['by uuid, bytea and timestamps', '(u uuid, b bytea, z timestamptz, v text, primary key (u, b, z))', "select gen_random_uuid(), decode(md5(i::text), 'hex'), now() + i * interval '1 us', '' from generate_series(1, 50) i"],
    ['by an array and an enum', '(e mood, a integer[], v text, primary key (e, a))', "select case when i % 2 = 0 then 'so, so' else 'it''s \\ok' end::mood, array[i, null, -i], 'v' from generate_series(1, 40) i"],
    ['by a domain', '(d positive primary key, v text)', "select i, 'v' from generate_series(1, 40) i"],
    ['with quotes and backslashes in keys', '(k text primary key)', "select chr(i) || '''\"\\' || chr(i) from generate_series(1, 50) i union all values (''), ('{}'), ('null'), (E'a\\nb')"],
  ]; // prettier-ignore

  test.each(cases)('%s', async (what, definition, rows) => {
    await using pair = await Pair.create(`keys_${cases.findIndex(([name]) => name === what)}`, {
      local: server,
      remote: server,
    });
    pair.configure({ replayer: { copyChunkRows: 7 } });
    await pair.both(`create type public.mood as enum ('so, so', 'it''s \\ok'); create domain public.positive as integer check (value > 0);
      create collation public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); create table public.t ${definition}`);
    await pair.sql('local', `insert into public.t ${rows}`);
    await add(pair);
    await pair.expectEqual(all);
    expect(await pair.value('remote', 'select count(*)::integer from public.t')).toBeGreaterThan(30);
  });

  test('of a partitioned table into a plain one', async () => {
    await using pair = await Pair.create('parts', { local: server, remote: server });
    await pair.sql(
      'local',
      `create table public.t (id integer primary key, v text) partition by hash (id);
      create table public.t0 partition of public.t for values with (modulus 2, remainder 0);
      create table public.t1 partition of public.t for values with (modulus 2, remainder 1);
      insert into public.t select i, 'v' || i from generate_series(1, 100) i`,
    );
    await pair.sql('remote', 'create table public.t (id integer primary key, v text)');
    pair.configure({ replayer: { copyChunkRows: 7 } });
    await add(pair);
    await pair.expectEqual(all);
  });
});

describe('a copy', () => {
  test('goes on where it was interrupted: no row is written twice', async () => {
    await using pair = await filled(
      'resumed',
      '(id integer primary key, v text)',
      "select i, 'v' from generate_series(1, 100) i",
    );
    await pair.sql('remote', auditSql);
    const stop = new AbortController();
    const interrupt: CopyProgress = ({ rows }) => {
      if (rows >= 35) stop.abort();
    };
    await expect(add(pair, {}, interrupt, stop.signal)).rejects.toThrow();
    const before = Number(await pair.value('remote', 'select count(*) from public.t'));
    expect(before).toBeGreaterThanOrEqual(35);
    expect(before).toBeLessThan(100);
    await using app = pair.app();
    expect(await copyTable(app, { table, restart: false }, silent, never)).toMatchObject({
      tables: [{ copiedRows: 100 }],
    });
    await pair.expectEqual(all);
    expect(await pair.value('remote', 'select count(*)::integer from public.audit')).toBe(100);
    await expect(copyTable(app, { table, restart: false }, silent, never)).rejects.toMatchObject({
      code: 'no',
      hint: expect.stringMatching(/--restart/) as string,
    });
  });

  test('with --restart mends what somebody changed at the target', async () => {
    await using pair = await filled(
      'restarted',
      '(id integer primary key, v text)',
      "select i, 'v' from generate_series(1, 100) i",
    );
    await add(pair);
    await pair.sql(
      'remote',
      "update public.t set v = 'wrong' where id < 10; delete from public.t where id > 90; insert into public.t values (1000, 'extra')",
    );
    await using app = pair.app();
    await copyTable(app, { table, restart: true }, silent, never);
    await pair.expectEqual(all);
  });

  test('under writes, with the filter rejecting rows meanwhile, ends equal once the daemon has caught up', async () => {
    await using pair = await filled(
      'written',
      '(id integer primary key, v integer not null)',
      'select i, i from generate_series(1, 4000) i',
    );
    let chunk = 0;
    const writes: Promise<unknown>[] = [];
    await add(pair, { where: 'v >= 0' }, () => {
      chunk += 1;
      const id = (chunk * 37) % 4000;
      writes.push(
        pair.sql(
          'local',
          `update public.t set v = -1 where id = ${id}; delete from public.t where id = ${id + 1};
        update public.t set id = id + 100000 where id = ${id + 2}; update public.t set id = -id where id = ${4000 - chunk};
        insert into public.t values (${200000 + chunk}, ${chunk})`,
        ),
      );
    });
    await Promise.all(writes);
    await using daemon = await pair.daemon();
    await pair.arrive();
    await pair.expectEqual('select * from public.t where v >= 0 order by id', 'select * from public.t order by id');
    expect(chunk).toBeGreaterThan(50);
    expect(daemon.running).toBe(true);
  });

  test('ends though the table grows as fast as it is copied; what is inserted behind its end comes by the queue', async () => {
    await using pair = await filled(
      'growing',
      '(id integer primary key, v text)',
      "select i, 'v' from generate_series(1, 100) i",
    );
    // For each row that is copied the source gets another one, before the next chunk is looked for.
    await pair.sql(
      'remote',
      `create extension dblink;
      create function public.grow() returns trigger language plpgsql as $$ begin
        perform public.dblink_exec('${pair.url.local}', 'insert into public.t values (' || 1000 + new.id || ', ''new'')');
        return null;
      end $$;
      create trigger grow after insert on public.t for each row when (new.id <= 100) execute function public.grow();
      alter table public.t enable always trigger grow`,
    );
    const copied: number[] = [];
    await add(pair, {}, ({ rows }) => copied.push(rows));
    expect(copied.at(-1)).toBe(100);
    expect(await pair.value('local', 'select count(*)::integer from public.t')).toBe(200);
    await using daemon = await pair.daemon();
    await pair.arrive();
    await pair.expectEqual(all);
    expect(daemon.running).toBe(true);
  });

  test('takes no lock that holds up the application, not even an index being made or a row being locked', async () => {
    await using pair = await filled(
      'locks',
      '(id integer primary key, v integer)',
      'select i, i from generate_series(1, 50) i',
    );
    const locks = new Set<string>();
    const looks: Promise<unknown>[] = [];
    await add(pair, {}, () => {
      looks.push(
        pair.sql('local', "select distinct mode from pg_locks where relation = 'public.t'::regclass").then((rows) => {
          rows.forEach(({ mode }) => locks.add(String(mode)));
        }),
      );
    });
    await Promise.all(looks);
    expect([...locks].filter((mode) => mode !== 'AccessShareLock')).toEqual([]);
  });

  test('of one table by two commands at once is refused to the second', async () => {
    await using pair = await filled(
      'twice',
      '(id integer primary key, v integer)',
      'select i, i from generate_series(1, 2000) i',
    );
    await using app = pair.app();
    await add(pair);
    const both = await Promise.allSettled([1, 2].map(() => copyTable(app, { table, restart: true }, silent, never)));
    const refused = both.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toBeInstanceOf(PgrepError);
    expect(refused[0]).toMatchObject({ code: 'no', message: expect.stringMatching(/being copied/) as string });
    await pair.expectEqual(all);
  });
});

const auditSql = `create table public.audit (id integer);
create function public.note() returns trigger language plpgsql as $$ begin insert into public.audit values (new.id); return null; end $$;
create trigger note after insert or update on public.t for each row execute function public.note();
alter table public.t enable always trigger note`;
