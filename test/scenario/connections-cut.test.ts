import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Load } from './load.ts';
import { auditSql, digest, proxied, type Pair } from './pair.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'cut' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** How far the target is, so that the next fault meets work under way. */
async function moreAtTarget(pair: Pair): Promise<void> {
  const rows = async (): Promise<number> => Number(await pair.value('remote', 'select count(*) from public.t'));
  const before = await rows();
  await waitFor(async () => (await rows()) > before, { what: 'more rows at the target', deadlineMs: 60_000 });
}

describe('under load', () => {
  test('G2, G3: connections that are reset, and replies lost after the commit, lose nothing and hold nothing', async () => {
    await using here = await proxied(server, 'reset');
    const { pair, source, target } = here;
    await pair.sql('remote', auditSql);
    await using daemon = await pair.daemon();
    await using load = new Load(pair.url.local);
    for (let round = 0; round < 3; round++) {
      await moreAtTarget(pair);
      target.cut();
      await moreAtTarget(pair);
      await target.dropReplyAfter('\ncommit\0');
      await moreAtTarget(pair);
      source.cut();
    }
    await moreAtTarget(pair);
    await load.stop();
    await pair.arrive();
    await pair.expectEqual(digest);
    expect(await pair.value('local', 'select count(*)::integer from pgrep.sync_err_rec')).toBe(0);
    const twice = "select id from public.audit where operation = 'INSERT' group by id having count(*) > 1";
    expect(await pair.sql('remote', twice)).toEqual([]);
    expect(daemon.running).toBe(true);
  });
});

// Side by side: each waits for the time after which a peer is given up.
describe.concurrent('a peer that has gone silent', () => {
  test('is given up within 35 s at the target, and the link recovers', async () => {
    await using here = await proxied(server, 'silent_target');
    const { pair, target } = here;
    await using daemon = await pair.daemon();
    await pair.arrive();
    target.mode = 'blackhole';
    await pair.sql('local', 'insert into public.t select i, 0 from generate_series(1, 100000) i');
    await daemon.says(/stopped answering/, 35_000);
    target.mode = 'pass';
    await pair.untilEqual(digest);
    expect(await pair.link()).toMatchObject({ held: 0 });
  });

  test('is given up within 35 s at the source, and the link recovers', async () => {
    await using here = await proxied(server, 'silent_source');
    const { pair, source } = here;
    await using daemon = await pair.daemon();
    await pair.arrive();
    source.mode = 'blackhole';
    await pair.sql('local', 'insert into public.t values (1, 1)');
    await daemon.says(/stopped answering/, 35_000);
    source.mode = 'pass';
    await pair.untilEqual(digest);
  });

  test('is given up although the server lives, when it lost what was asked', async () => {
    await using here = await proxied(server, 'lost_request');
    const { pair, target } = here;
    await using daemon = await pair.daemon();
    await pair.arrive();
    const lost = target.holdAt('begin;');
    await pair.sql('local', 'insert into public.t values (1, 1)');
    await lost;
    await pair.untilEqual(digest);
    expect(daemon.stderr).toMatch(/stopped answering/);
  });

  test('is not confused with a server that works on a long statement', async () => {
    await using here = await proxied(server, 'long_statement');
    const { pair } = here;
    await pair.sql('remote', `create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(18); return new; end $$;
      create trigger slow before insert on public.t for each row execute function public.slow();
      alter table public.t enable always trigger slow`); // prettier-ignore
    await using daemon = await pair.daemon();
    await pair.sql('local', 'insert into public.t values (1, 1)');
    await pair.untilEqual(digest);
    expect(daemon.stderr).not.toMatch(/stopped answering|"level":"warn"/);
  });
});
