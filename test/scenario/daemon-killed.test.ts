import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import type { FaultProxy } from '../support/proxy.ts';
import { waitFor } from '../support/wait.ts';
import { auditSql, digest, proxied, type Proxied } from './pair.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'killed' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A replicated `public.t` behind proxies whose target counts what is done to it. */
async function audited(name: string): Promise<Proxied> {
  const here = await proxied(server, name);
  await here.pair.sql('remote', auditSql);
  return here;
}

const operations = 'select operation, count(*)::integer as n from public.audit group by 1 order by 1';
// The merge and its commit are one message, which ends so.
const commit = '\ncommit\0';

describe('G3: kill -9 of the daemon', () => {
  const steps = [
    ['while it reads at the source', (on: { source: FaultProxy }) => on.source.holdAt('copy (')],
    ['after the copy into the stage, before the merge', (on: { target: FaultProxy }) => on.target.holdAt(commit)],
    ['after the commit, before its acknowledgement', (on: { target: FaultProxy }) => on.target.holdReplyAfter(commit)],
  ] as const;

  test.each(steps)('%s leaves each change applied exactly once by the next daemon', async (step, arm) => {
    await using here = await audited(`step${steps.findIndex(([name]) => name === step)}`);
    const { pair, source, target } = here;
    for (const change of [
      'insert into public.t select i, 0 from generate_series(1, 500) i',
      'update public.t set n = n + 1',
      'delete from public.t where id % 2 = 0',
    ]) {
      await using daemon = await pair.daemon();
      await pair.arrive();
      const reached = arm({ source, target });
      await pair.sql('local', change);
      await reached;
      daemon.kill('SIGKILL');
      await daemon.exit();
      await using next = await pair.daemon();
      await pair.arrive();
      next.kill('SIGTERM');
      expect((await next.exit(5_000)).code).toBe(0);
    }
    await pair.expectEqual(digest);
    expect(await pair.sql('remote', operations)).toEqual([
      { operation: 'DELETE', n: 250 },
      { operation: 'INSERT', n: 500 },
      { operation: 'UPDATE', n: 500 },
    ]);
  });
});

describe('the daemon', () => {
  test('ends within 5 s of SIGTERM in the middle of a large batch, with status 0 and the target unchanged', async () => {
    await using here = await audited('sigterm');
    const { pair, source } = here;
    await using daemon = await pair.daemon();
    await pair.arrive();
    const copying = source.watchFor('copy (');
    await pair.sql('local', 'insert into public.t select i, 0 from generate_series(1, 300000) i');
    await copying;
    daemon.kill('SIGTERM');
    expect((await daemon.exit(5_000)).code).toBe(0);
    expect(await pair.value('remote', 'select count(*)::integer from public.t')).toBe(0);
    await using next = await pair.daemon();
    await pair.arrive();
    await pair.expectEqual(digest);
    expect(await pair.sql('remote', operations)).toEqual([{ operation: 'INSERT', n: 300_000 }]);
    expect(next.running).toBe(true);
  });

  test('ends within 5 s of SIGTERM while both servers are silent', async () => {
    await using here = await audited('silent');
    const { pair, source, target } = here;
    await using daemon = await pair.daemon();
    await pair.arrive();
    source.mode = 'blackhole';
    target.mode = 'blackhole';
    await pair.sql('local', 'insert into public.t values (1, 1)');
    daemon.kill('SIGTERM');
    expect((await daemon.exit(5_000)).code).toBe(0);
  });

  test('is replaced within 10 s of its kill -9 by another that was waiting', async () => {
    await using here = await audited('takeover');
    const { pair } = here;
    await using first = await pair.daemon();
    await using second = pair.spawn('run');
    await second.says(/"msg":"started"/);
    await pair.arrive();
    expect(second.stderr).not.toMatch(/"msg":"replaying"/);
    first.kill('SIGKILL');
    await pair.sql('local', 'insert into public.t values (1, 1)');
    await waitFor(async () => (await pair.value('remote', 'select count(*)::integer from public.t')) === 1, {
      what: 'the second daemon to take over',
      deadlineMs: 10_000,
    });
    expect(second.stderr).toMatch(/"msg":"replaying"/);
  });

  test('G3: two at once, the lease circumvented, apply each change once and hold nothing', async () => {
    await using here = await audited('twice');
    const { pair } = here;
    await pair.sql('local', lockerless);
    await using one = await pair.daemon();
    await using other = await pair.daemon();
    await pair.sql('local', 'insert into public.t select i, 0 from generate_series(1, 200) i');
    await pair.arrive();
    for (let round = 1; round <= 40; round++)
      await pair.sql('local', 'update public.t set n = n + 1 where id = $1', [round]);
    await pair.arrive();
    await pair.expectEqual(digest);
    expect(await pair.sql('remote', operations)).toEqual([
      { operation: 'INSERT', n: 200 },
      { operation: 'UPDATE', n: 40 },
    ]);
    expect(await pair.link()).toMatchObject({ held: 0, lagKeys: 0 });
    expect([one.running, other.running]).toEqual([true, true]);
  });
});

test('G3: a daemon that was overtaken finds the fence moved and writes nothing of what it had read', async () => {
  await using here = await audited('overtaken');
  const { pair, target } = here;
  await pair.sql('local', lockerless);
  await pair.sql('local', 'insert into public.t values (1, 0)');
  await using slow = await pair.daemon();
  await pair.arrive();
  const held = target.holdAt('begin;');
  await pair.sql('local', 'update public.t set n = 1');
  await held;
  await pair.sql('local', 'update public.t set n = 2');
  pair.configure({});
  await using fast = await pair.daemon();
  await pair.untilEqual(digest);
  const refused = target.watchFor('rollback\0');
  target.release();
  await refused;
  await pair.sql('local', 'insert into public.t values (2, 0)');
  await pair.arrive();
  expect(await pair.sql('remote', operations)).toEqual([
    { operation: 'INSERT', n: 2 },
    { operation: 'UPDATE', n: 1 },
  ]);
  expect([slow.running, fast.running]).toEqual([true, true]);
});

/** Makes every session of the database believe that it has any lease. */
const lockerless = `set allow_system_table_mods = on;
alter function pg_catalog.pg_try_advisory_lock(integer, integer) rename to pg_try_advisory_lock_kept;
create function pg_catalog.pg_try_advisory_lock(integer, integer) returns boolean language sql as 'select true';
reset allow_system_table_mods`;
