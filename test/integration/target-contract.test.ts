import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { beginTablePosition } from '../../src/copy/table-position.ts';
import { silentLogger } from '../../src/core/logger.ts';
import type { Route } from '../../src/core/route.ts';
import { migrate } from '../../src/db/migrate.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { openElasticsearchTarget } from '../../src/targets/elasticsearch/open.ts';
import { openPostgresTarget } from '../../src/targets/postgres/postgres-target.ts';
import type { Applied, Batch, ChangedTable, Mark, RefusedRow, Target } from '../../src/targets/target.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { never } from './replay-pair.ts';

/** One kind of target under test, with its table `items (id, v integer)`; the source's `v` is text, so that any word is refused. */
interface Kind {
  readonly open: () => Promise<Target>;
  /** Where the link's position is kept. */
  readonly store: Session;
  /** The target's rows as `id=v`, sorted. */
  readonly rows: () => Promise<readonly string[]>;
  readonly targetTable: Route['targetTable'];
}

const link = { source: 'local', target: 'there' };
const everything = 'select id from public.items';
let server: PostgresServer;
let source: Session;
let reader: Session;

beforeAll(async () => {
  server = await startPostgres({ name: 'contract' });
  const url = await server.createDatabase('source');
  source = await openSession({ node: 'local', url });
  reader = await openSession({ node: 'local', url });
  await migrate(source, false);
});

afterAll(async () => {
  await reader[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function postgresKind(): Promise<Kind> {
  const url = await server.createDatabase('there');
  const store = await openSession({ node: 'there', url });
  await migrate(store, false);
  await store.script('create table public.items (id int primary key, v integer)');
  return {
    store,
    targetTable: { schema: 'public', name: 'items' },
    open: () =>
      openPostgresTarget({
        link,
        address: { node: 'there', url },
        replicaRole: true,
        maxClockSkewMs: 300_000,
        logger: silentLogger,
      }),
    rows: async () => {
      const { rows } = await store.query(
        `select id || '=' || coalesce(v::text, '') as row from public.items order by id`,
      );
      return rows.map((row) => String(row['row']));
    },
  };
}

async function elasticsearchKind(): Promise<Kind> {
  const { url } = await sharedElasticsearch();
  const index = 'target_contract';
  const http = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return (await fetch(`${url}/${index}${path}`, { method, ...init })).json();
  };
  await http('DELETE', '');
  await http('PUT', '', {
    mappings: { dynamic: 'strict', properties: { id: { type: 'integer' }, v: { type: 'integer' } } },
  });
  return {
    store: source,
    targetTable: { schema: '', name: index },
    open: () => openElasticsearchTarget({ link, node: { url }, source, logger: silentLogger }),
    rows: async () => {
      await http('POST', '/_refresh');
      const answer = (await http('POST', '/_search', { size: 1_000, sort: ['id'] })) as {
        hits: { hits: { _source: { id: number; v: string | null } }[] };
      };
      return answer.hits.hits.map(({ _source }) => `${_source.id}=${_source.v ?? ''}`);
    },
  };
}

describe.for([
  ['Postgres', postgresKind],
  ['Elasticsearch', elasticsearchKind],
] as const)('the contract of a target, kept by %s', ([, makeKind]) => {
  let kind: Kind;
  let target: Target;
  let route: Route;
  const held: RefusedRow[] = [];

  beforeAll(async () => {
    await source.script('drop table if exists public.items; create table public.items (id int primary key, v text)');
    kind = await makeKind();
    target = await kind.open();
    const column = (name: string, type: string, typeOid: string): Route['columns'][number] => ({
      source: name,
      target: name,
      type,
      typeOid,
    });
    route = {
      ...link,
      id: '1',
      tableId: '1',
      sourceTable: { schema: 'public', name: 'items' },
      targetTable: kind.targetTable,
      key: ['id'],
      columns: [column('id', 'integer', '23'), column('v', 'text', '25')],
      filter: null,
      state: 'live',
      sweep: false,
      packed: false,
      twoWay: null,
    };
    await target.prepare([route], never);
  });

  afterAll(async () => {
    await target[Symbol.asyncDispose]();
    if (kind.store !== source) await kind.store[Symbol.asyncDispose]();
  });

  /** Reads a batch as the target's protocol demands and applies it. */
  async function apply(parts: {
    keys?: string;
    sweep?: boolean;
    epoch?: string;
    mark?: Mark;
    to?: Target;
  }): Promise<Applied> {
    const { keys = everything, sweep = false, to = target } = parts;
    const epoch = parts.epoch ?? (await to.position(never)).epoch;
    const build =
      to.reading === 'build'
        ? String((await source.query("select nextval('pgrep.build') as build")).rows[0]?.['build'])
        : null;
    await reader.script('begin isolation level repeatable read, read only');
    const snapshot = String(
      (await reader.query('select pg_current_snapshot()::text as snapshot')).rows[0]?.['snapshot'],
    );
    const changed: ChangedTable = {
      route,
      keys,
      rows: '(select id, v from public.items)',
      sweep,
      small: !sweep,
      byHash: sweep,
    };
    const batch: Batch = {
      epoch,
      build,
      tables: [changed],
      mark: parts.mark ?? { kind: 'position', snapshot, joined: [], durable: true },
      origin: { systemIdentifier: '7', database: 'source', timeline: 1 },
      copyOut: (sql) => reader.copyOut(sql),
      hold: (refused) => {
        held.push(...refused);
        return Promise.resolve();
      },
    };
    try {
      return await to.apply(batch, never);
    } finally {
      await reader.script('rollback');
    }
  }

  /** Makes the source's rows these and empties what was held. */
  async function given(values: string): Promise<void> {
    held.length = 0;
    await source.script(`truncate public.items; insert into public.items values ${values}`);
  }

  test('makes the keys equal and moves the position with them', async () => {
    await given("(1, '1'), (2, null), (3, '3')");
    const before = await target.position(never);
    expect(await apply({})).toMatchObject({ committed: true, held: 0 });
    const after = await target.position(never);
    expect(BigInt(after.epoch)).toBe(BigInt(before.epoch) + 1n);
    expect(after.snapshot).toMatch(/^\d+:\d+:/);
    expect(after.origin).toEqual({ systemIdentifier: '7', database: 'source', timeline: 1 });
    expect(await kind.rows()).toEqual(['1=1', '2=', '3=3']);
  });

  test('deletes keys that have no row, and knows no error for keys that it never had', async () => {
    await given("(1, '10'), (3, '3')");
    await apply({ keys: 'select i as id from generate_series(1, 9) i' });
    expect(await kind.rows()).toEqual(['1=10', '3=3']);
  });

  test('G3: the same batch again changes nothing', async () => {
    await given("(1, '10'), (3, '3')");
    for (let i = 0; i < 2; i += 1) await apply({ keys: 'select i as id from generate_series(1, 9) i' });
    expect(await kind.rows()).toEqual(['1=10', '3=3']);
    expect(held).toEqual([]);
  });

  test('G3: behind the fence a batch is not committed and the position stays', async () => {
    await given("(1, '11'), (3, '3')");
    const { epoch } = await target.position(never);
    await using other = await kind.open();
    await other.prepare([route], never);
    expect(await apply({ to: other, epoch })).toMatchObject({ committed: true });
    const between = await target.position(never);
    expect(await apply({ epoch })).toMatchObject({ committed: false });
    expect(await target.position(never)).toEqual(between);
    expect(await kind.rows()).toEqual(['1=11', '3=3']);
  });

  test('G7: refused rows are handed over with key, reason and statement before the mark is committed; the others pass', async () => {
    await given("(1, '12'), (3, 'three'), (4, '4'), (5, 'five')");
    expect(await apply({})).toMatchObject({ committed: true, held: 2 });
    expect(held.map(({ key }) => key).sort()).toEqual([['3'], ['5']]);
    for (const row of held) {
      expect(row.reason).not.toBe('');
      expect(row.statement).toContain(row.key[0] === '3' ? 'three' : 'five');
      expect(row.message).not.toBe('');
    }
    expect(await kind.rows()).toEqual(['1=12', '3=3', '4=4']);
  });

  test('a retry moves the fence only', async () => {
    await given("(1, '12'), (3, '33'), (4, '4')");
    const before = await target.position(never);
    expect(await apply({ keys: 'select 3 as id', mark: { kind: 'none' } })).toMatchObject({ committed: true });
    const after = await target.position(never);
    expect([after.snapshot, BigInt(after.epoch)]).toEqual([before.snapshot, BigInt(before.epoch) + 1n]);
    expect(await kind.rows()).toEqual(['1=12', '3=33', '4=4']);
  });

  test('a sweep deletes what the source does not have, besides the keys', async () => {
    await given("(4, '44'), (7, '7')");
    await apply({ keys: 'select 7 as id', sweep: true });
    expect(await kind.rows()).toEqual(
      ['4=4', '7=7'].map((row) => (target.reading === 'build' && row === '4=4' ? '4=44' : row)),
    );
    await given("(7, '8'), (8, 'bad')");
    await apply({ sweep: true });
    expect(await kind.rows()).toEqual(['7=8']);
    expect(held.map(({ key }) => key)).toEqual([['8']]);
  });

  test('G2: chunks of a copy move the table and not the link, each once', async () => {
    await given("(1, '1'), (2, '2')");
    await beginTablePosition({ session: kind.store, link }, { route, snapshot: '5:5:', copied: false });
    const { epoch } = await target.position(never);
    const chunk = (copiedRows: number, seenRows: number, copied = false): Mark => ({
      kind: 'copy',
      routeId: '1',
      seenRows,
      table: { snapshot: '5:5:', lastKey: [String(copiedRows)], copiedRows, copied },
    });
    expect(await apply({ keys: 'select 1 as id', mark: chunk(1, 0) })).toMatchObject({ committed: true });
    expect(await apply({ keys: 'select 1 as id', mark: chunk(1, 0) })).toMatchObject({ committed: false });
    const position = await target.position(never);
    expect(position.epoch).toBe(epoch);
    expect(position.tables.get('1')).toEqual({ snapshot: '5:5:', lastKey: ['1'], copiedRows: 1, copied: false });
    expect(await apply({ keys: 'select 2 as id', mark: chunk(2, 1, true) })).toMatchObject({ committed: true });
    // The next batch takes the table in.
    await apply({ mark: { kind: 'position', snapshot: '9:9:', joined: ['1'], durable: true } });
    expect(await target.position(never)).toMatchObject({ snapshot: '9:9:', tables: new Map() });
    expect(await kind.rows()).toEqual(['1=1', '2=2', '7=8']);
  });
});
