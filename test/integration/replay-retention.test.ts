import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyTable } from '../../src/index.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { retireQueues } from '../../src/queue/retention.ts';
import { applyBatch, applyNothing } from '../../src/replayer/batch-step.ts';
import { LinkSession } from '../../src/replayer/link-session.ts';
import { reportLink } from '../../src/replayer/link-state.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { connect, never, one, Pair } from './replay-pair.ts';

let server: PostgresServer;
let other: PostgresServer;
beforeAll(async () => {
  [server, other] = await Promise.all([startPostgres({ name: 'keep' }), startPostgres({ name: 'keep2' })]);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const sql = 'create table t (id int primary key, x int)';

/** One batch without a daemon; its commit is flushed. */
async function step(session: LinkSession): Promise<Awaited<ReturnType<typeof applyBatch>>> {
  const found = await session.reader.look(session.lookedAt(), 1_000_001);
  return applyBatch(session, found, { maxBatchRows: 1_000_000, durable: true }, never);
}

async function openLink(pair: Pair): Promise<LinkSession> {
  const link = { source: 'local', target: 'remote' };
  const session = await LinkSession.open(link, pair.app.connections(link));
  await session.loadRoutes(never);
  return session;
}

/** What the loop says after a flushed batch. */
async function confirm(link: LinkSession): Promise<void> {
  if (link.position.snapshot !== null) await reportLink(link.control, 'remote', { confirmed: link.position.snapshot });
}

async function queueBytes(pair: Pair): Promise<number> {
  const sizes =
    "select sum(pg_relation_size(c.oid)) from pg_class c where c.relname like 'queue\\_1\\__' and c.relkind = 'r'";
  return Number((await one(pair.source, sizes))[0]);
}

async function keeper(pair: Pair): Promise<Session> {
  return openSession({ node: 'local', url: pair.sourceUrl });
}

describe('queues', () => {
  test('G2: a part is emptied once the target has confirmed all of it, not before, and not while a transaction that wrote to it is open', async () => {
    await using pair = await Pair.open({ server, sql });
    await pair.add('t');
    await using session = await keeper(pair);
    await using link = await openLink(pair);
    const turns = async (): Promise<number> => {
      let emptied = 0;
      for (let i = 0; i < 6; i += 1) emptied += await retireQueues(session);
      return emptied;
    };
    await pair.source.query('insert into t select i, i from generate_series(1, 1000) i');
    // No batch has taken the table in yet.
    expect(await turns()).toBe(0);
    await step(link);
    expect(await turns()).toBe(0);
    await confirm(link);
    expect(await turns()).toBeGreaterThan(0);
    // Parts that are not current hold changes that the target has not seen, one of them of a transaction that is still open.
    const open = await connect(pair.sourceUrl);
    await open.query('begin; insert into t values (-1, 0)');
    await pair.source.query('update t set x = 0 where id < 10');
    await turns();
    await pair.source.query('update t set x = 1 where id > 990');
    await turns();
    await step(link);
    await confirm(link);
    await turns();
    await open.query('commit');
    await open.end();
    await step(link);
    expect((await pair.expectEqual('t')).length).toBe(1001);
    await confirm(link);
    await turns();
    expect(await one(pair.source, 'select count(*) from pgrep.queue_1')).toEqual(['0']);
  });

  test('G2: a table that is set to be copied again does not count as joined by the word of a link that loaded it before', async () => {
    await using pair = await Pair.open({ server, sql });
    await pair.add('t');
    await using link = await openLink(pair);
    const joined = 'select joined from pgrep.route';
    await step(link);
    expect(await one(pair.source, joined)).toEqual(['true']);
    await pair.source.query("update pgrep.route set state = 'copying', joined = false");
    await link.markJoined(link.live.map(({ id }) => id));
    expect(await one(pair.source, joined)).toEqual(['false']);
    await pair.source.query("update pgrep.route set state = 'live'");
    await link.loadRoutes(never);
    expect(await one(pair.source, joined)).toEqual(['true']);
  });

  test('a queue stays small over many rotations of steady changes', async () => {
    await using pair = await Pair.open({ server, sql });
    await pair.add('t');
    await using session = await keeper(pair);
    await using link = await openLink(pair);
    let largest = 0;
    for (let i = 0; i < 30; i += 1) {
      await pair.source.query(`insert into t select i, ${i} from generate_series(${i * 2000}, ${i * 2000 + 1999}) i`);
      await step(link);
      await confirm(link);
      await retireQueues(session);
      largest = Math.max(largest, await queueBytes(pair));
    }
    await pair.expectEqual('t');
    // 60,000 keys one a row would be about 4 MB, packed about 300 kB; two turns of either are a small part of it.
    expect(largest).toBeLessThan(100_000);
  });
});

describe('G3: the fence', () => {
  test('of two replayers with the same batch exactly one applies it', async () => {
    await using pair = await Pair.open({
      server,
      sourceSql: sql,
      targetSql: `${sql}; create table audit (id int, n int generated always as identity); create function audit() returns trigger language plpgsql as $$ begin insert into audit values (new.id); return null; end $$;
        create trigger audit after insert or update on t for each row execute function audit(); alter table t enable always trigger audit`,
    });
    await pair.add('t');
    await using first = await openLink(pair);
    await using second = await openLink(pair);
    for (let round = 0; round < 20; round += 1) {
      await pair.source.query(`insert into t values (${round}, 1)`);
      const outcomes = await Promise.all([step(first), step(second)]);
      // Both went by the same position; whoever lost has nothing committed and begins again.
      expect(outcomes.filter((outcome) => !outcome.again).length, `round ${round}`).toBe(1);
      await first.loadRoutes(never);
      await second.loadRoutes(never);
    }
    expect(await one(pair.target, 'select count(*) || $$ $$ || count(distinct id) from audit')).toEqual(['20 20']);
    await pair.expectEqual('t');
  });
});

describe('a link that is idle', () => {
  test('commits batches without rows, however many', async () => {
    await using pair = await Pair.open({ server, sql });
    await pair.add('t');
    await using link = await openLink(pair);
    // Stages are emptied in another way after every five hundredth batch.
    for (let i = 0; i < 501; i += 1) {
      const { peek } = await link.reader.look(link.lookedAt(), 1);
      await link.reader.end();
      expect(await applyNothing(link, peek, never), `batch ${i}`).toBe(true);
    }
  });
});

describe('a source that is not the one the position was taken in', () => {
  test('G2: another database in its place is refused with advice; copying again mends it', async () => {
    await using pair = await Pair.open({ server, sql });
    await pair.add('t');
    await pair.source.query('insert into t values (1, 1)');
    {
      await using link = await openLink(pair);
      await step(link);
    }
    // As if the source had been restored into another cluster.
    await pair.target.query('update pgrep.position set system_identifier = system_identifier + 1');
    await pair.source.query('insert into t values (2, 2); delete from t where id = 1');
    pair.run();
    const state = await waitFor(async () => (await pair.linkState()).state === 'stopped' && (await pair.linkState()), {
      what: 'the link to stop',
    });
    expect(state.lastError).toMatch(
      /^Node local is another database than the one that remote was fed from.* pgrep copy TABLE --from local --to remote --restart/,
    );
    expect(await one(pair.target, 'select id from t')).toEqual(['1']);
    await copyTable(pair.app, { table: { schema: 'public', name: 't' }, restart: true }, () => undefined, never);
    await pair.settle(30);
    await pair.change('insert into t values (3, 3)');
    await pair.expectEqual('t');
  });

  test('G2: a source that was set back sends again what it still has queued', async () => {
    await using pair = await Pair.open({ server, sql });
    await pair.add('t');
    await pair.source.query('insert into t values (1, 1), (2, 2)');
    {
      await using link = await openLink(pair);
      await step(link);
    }
    // The position has seen transactions that the source, restored to an earlier moment, has yet to give out.
    await pair.target.query("update pgrep.position set snapshot = '900000000:900000000:'; delete from t where id = 1");
    await pair.source.query('insert into t values (3, 3)');
    pair.run();
    await waitFor(async () => (await one(pair.target, 'select id from t order by id')).join() === '1,2,3', {
      what: 'all to be sent again',
    });
    await pair.change('insert into t values (4, 4)');
    await pair.expectEqual('t');
  });
});
