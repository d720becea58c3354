import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'day', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** One change a second for a day: a third inserts, then updates, then deletes of other rows, each key once. */
const changesOfADay = 86_400;
const perNode = changesOfADay / 3;
const transactions = 240;

/** A node's changes in the order of time, each transaction with as many of each kind, spread over as long as `pause` says. */
function day(place: number, pauseSeconds: number): string {
  const each = perNode / transactions / 3;
  const base = 1_000_000 * (place + 1);
  return `do $$ declare i integer; begin for i in 0..${transactions - 1} loop
    insert into public.t select ${base} + 500000 + i * ${each} + j, 0, 'new' from generate_series(0, ${each - 1}) j;
    update public.t set info = 'changed' where id between ${base} + i * ${each} and ${base} + (i + 1) * ${each} - 1;
    delete from public.t where id between ${base} + 100000 + i * ${each} and ${base} + 100000 + (i + 1) * ${each} - 1;
    commit;
    perform pg_sleep(${pauseSeconds});
  end loop; end $$`;
}

test("sidecars stay small under a day's worth of changes, each of another row, at three nodes, and are empty afterwards", async () => {
  await using mesh = await Mesh.create(server, 'all', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', `insert into public.t select 1000000 * p + k * 100000 + i, 0, 'old' from generate_series(1, 3) p, generate_series(0, 1) k, generate_series(0, ${perNode / 3 - 1}) i`); // prettier-ignore
  await mesh.add({ to: ['b', 'c'] });
  await using daemon = await replaying(mesh);
  let most = 0;
  const size = async (): Promise<number> => {
    const found = await mesh.everywhere('select count(*)::integer as n from pgrep.row_version_1');
    return Math.max(...Object.values(found).map(([row]) => Number(row?.['n'])));
  };
  await mesh.sql('a', "insert into public.t values (0, 0, 'after the copy')");
  await waitFor(async () => (await size()) === 0, { what: 'versions of the copy to be forgotten', deadlineMs: 60_000 });
  // Within a minute: 1,440 times as fast as the day.
  const writing = Promise.all(mesh.nodes.map((node, place) => mesh.sql(node, day(place, 60 / transactions))));
  let ended = false;
  void writing.finally(() => (ended = true)).catch(() => undefined);
  await waitFor(
    async () => {
      most = Math.max(most, await size());
      return ended;
    },
    { what: 'the end of the day', deadlineMs: 150_000, everyMs: 200 },
  );
  await writing;
  await sameEverywhere(mesh);
  await expectNoConflicts(mesh);
  await waitFor(async () => (await size()) === 0, { what: 'sidecars that are empty', deadlineMs: 60_000 });
  // A daemon looks every five seconds: what was written in a quarter of the time is more than ever waits.
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(changesOfADay / 4);
  expect(daemon.running).toBe(true);
});
