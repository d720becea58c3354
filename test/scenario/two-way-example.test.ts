import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConflictRecord } from '../../src/app/conflicts.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Pair, type Node, type Records } from './pair.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'example', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** The same table at both nodes, by the names that it has there. */
const own = {
  local: { table: 'local.loc_test', text: 'info', other: 'remote' },
  remote: { table: 'remote.rmt_test', text: 'note', other: 'local' },
} as const;
const nodes = ['local', 'remote'] as const;

const command = 'local.loc_test --to remote --as remote.rmt_test --map info=note --two-way'.split(' ');
// As JSON shows a timestamp.
const noon = '2026-01-31T12:00:00';

/** The README's example, typed as it stands there, when local has the rows 1 to 5. */
async function example(name: string): Promise<Pair> {
  const pair = await Pair.create(name, { local: server, remote: server });
  for (const node of nodes) {
    const { table, text } = own[node];
    await pair.sql(node, `create schema ${node}; create table ${table} (pk1 int, pk2 text, ${text} text, crt_time timestamp, primary key (pk1, pk2))`); // prettier-ignore
  }
  await pair.sql('local', `insert into local.loc_test select i, 'x', 'row ' || i, '${noon}' from generate_series(1, 5) i`); // prettier-ignore
  const { code, stdout } = await pair.pgrep('add-table', ...command);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/\blocal +remote +remote\.rmt_test\b.*\n.*\bremote +local +local\.loc_test\b/)]); // prettier-ignore
  return pair;
}

/** All rows of a node, `(1, x, row 1, 12:00)` each. */
async function rowsOf(pair: Pair, node: Node): Promise<readonly string[]> {
  const { table, text } = own[node];
  const rows = await pair.sql(node, `select concat_ws(', ', t.pk1, t.pk2, t.${text}, to_char(t.crt_time, 'HH24:MI')) as line from ${table} t order by t.pk1, t.pk2`); // prettier-ignore
  return rows.map(({ line }) => String(line));
}

/** Both nodes come to have exactly these rows. */
async function bothHave(pair: Pair, wanted: readonly string[]): Promise<void> {
  await pair.arrive();
  await waitFor(async () => JSON.stringify(await Promise.all(nodes.map((node) => rowsOf(pair, node)))) === JSON.stringify([wanted, wanted]), { what: `${wanted.join('; ')} at both nodes`, deadlineMs: 30_000 }).catch(() => undefined); // prettier-ignore
  expect({ local: await rowsOf(pair, 'local'), remote: await rowsOf(pair, 'remote') }).toEqual({ local: wanted, remote: wanted }); // prettier-ignore
}

/** What the nodes have recorded, each with the node that keeps it. */
async function conflicts(pair: Pair): Promise<readonly ConflictRecord[]> {
  return ((await pair.json('conflicts', 'list')) as { conflicts: ConflictRecord[] }).conflicts;
}

const initial = [1, 2, 3, 4, 5].map((pk1) => `${pk1}, x, row ${pk1}, 12:00`);

test.each(nodes)(
  'G2, G5: in the README’s two-way example each kind of change at %s arrives at the other node, under that one’s names',
  async (node) => {
    const { table, text, other } = own[node];
    await using pair = await example(`kinds_${node}`);
    await using daemon = await pair.daemon();
    await bothHave(pair, initial);
    const steps: readonly (readonly [string, readonly string[]])[] = [
      [`insert into ${table} (pk1, pk2, ${text}, crt_time) values (1, 'y', 'new', '2026-01-31 13:30:00')`, [...initial.slice(0, 1), '1, y, new, 13:30', ...initial.slice(1)]], // prettier-ignore
      [`update ${table} set ${text} = 'changed', crt_time = crt_time + interval '1 hour' where (pk1, pk2) = (1, 'x')`, ['1, x, changed, 13:00', '1, y, new, 13:30', ...initial.slice(1)]], // prettier-ignore
      [`update ${table} set ${text} = null where pk1 = 2`, ['1, x, changed, 13:00', '1, y, new, 13:30', '2, x, 12:00', ...initial.slice(2)]], // prettier-ignore
      [`delete from ${table} where pk1 = 2`, ['1, x, changed, 13:00', '1, y, new, 13:30', ...initial.slice(2)]],
      // One part of the key, each: the row moves, and no other one with the same other part does.
      [`update ${table} set pk2 = 'z' where (pk1, pk2) = (1, 'y')`, ['1, x, changed, 13:00', '1, z, new, 13:30', ...initial.slice(2)]], // prettier-ignore
      [`update ${table} set pk1 = 9 where pk1 = 3`, ['1, x, changed, 13:00', '1, z, new, 13:30', ...initial.slice(3), '9, x, row 3, 12:00']], // prettier-ignore
      [`truncate ${table}`, []],
      [`insert into ${table} (pk1, pk2, ${text}) values (1, 'x', 'again')`, ['1, x, again']],
    ];
    for (const [sql, wanted] of steps) {
      await pair.sql(node, sql);
      await bothHave(pair, wanted);
    }
    // What has arrived is written there in turn.
    await pair.sql(other, `update ${own[other].table} set ${own[other].text} = 'answer'`);
    await bothHave(pair, ['1, x, answer']);
    expect(await conflicts(pair)).toEqual([]);
    expect(await pair.json('errors', 'list')).toEqual([]);
    expect(daemon.running).toBe(true);
  },
);

test('G5, G6: of concurrent updates in the README’s two-way example the later one stands at both nodes, recorded under its composite key, and restore brings the other back at both', async () => {
  await using pair = await example('concurrent');
  // Nobody replays: neither hears of the other. Key (1, x) is written at remote last, key (2, x) at local.
  await pair.sql('local', "update local.loc_test set info = 'of local' where pk1 = 1");
  await pair.sql('remote', "update remote.rmt_test set note = 'of remote' where pk1 in (1, 2)");
  await pair.sql('local', "update local.loc_test set info = 'of local' where pk1 = 2");
  await using daemon = await pair.daemon();
  await bothHave(pair, ['1, x, of remote, 12:00', '2, x, of local, 12:00', ...initial.slice(2)]);
  const found = await conflicts(pair);
  expect(new Set(found.map(({ key, kind }) => `${key.join()} ${kind}`))).toEqual(new Set(['1,x update/update', '2,x update/update'])); // prettier-ignore
  for (const each of found) {
    const { table, text } = own[each.node as Node];
    // Recorded in the names of the node that keeps it, with both rows whole.
    expect(`${each.nsp_name}.${each.table_name}`).toBe(table);
    const rows: Records = [each.local.row ?? {}, each.remote.row ?? {}];
    expect(rows.map((row) => row[text]).toSorted()).toEqual(['of local', 'of remote']);
    for (const row of rows) expect(row).toEqual({ pk1: each.key[0], pk2: 'x', [text]: row[text], crt_time: noon });
  }
  for (const [pk1, wanted] of [
    ['1', ['1, x, of local, 12:00', '2, x, of local, 12:00']],
    ['2', ['1, x, of local, 12:00', '2, x, of remote, 12:00']],
  ] as const) {
    const lost = found.find(({ key }) => key[0] === pk1);
    const { code, stdout } = await pair.pgrep('conflicts', 'restore', lost?.id ?? '', '--node', lost?.node ?? '');
    expect([code, stdout]).toEqual([0, expect.stringContaining(`(${pk1}, x)`)]);
    await bothHave(pair, [...wanted, ...initial.slice(2)]);
  }
  // The loser came back as a new change, which has seen what it replaced.
  expect((await conflicts(pair)).length).toBe(found.length);
  expect(daemon.running).toBe(true);
});
