import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere } from './all-nodes.ts';

const index = 'two_way_forwarded';
let server: PostgresServer;
let elasticsearch: string;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'forwarded', settings: { max_prepared_transactions: 0 } });
  elasticsearch = (await sharedElasticsearch()).url;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await fetch(`${elasticsearch}/${index}`, { method: 'DELETE' });
});

/** Waits until all nodes hold the same rows and the index has them. */
async function indexed(mesh: Mesh): Promise<void> {
  await sameEverywhere(mesh);
  const rows = JSON.stringify(await mesh.sql('a', 'select id, n, info from public.t order by id'));
  const documents = async (): Promise<string> => {
    await fetch(`${elasticsearch}/${index}/_refresh`, { method: 'POST' });
    const answer = await fetch(`${elasticsearch}/${index}/_search?size=1000&sort=id:asc`);
    const { hits } = (await answer.json()) as { hits: { hits: readonly { _source: unknown }[] } };
    return JSON.stringify(hits.hits.map(({ _source }) => _source));
  };
  await waitFor(async () => (await documents()) === rows, { what: `documents ${rows.slice(0, 300)}` });
}

test.each([
  ['a leaf', 'c'],
  ['the hub', 'a'],
])('G2: in a star %s that owns an index indexes what every other node writes, and what is restored', async (_, owner) => {
  await using mesh = await Mesh.create(server, `owner_${owner}`, { nodes: ['a', 'b', 'c', 'd'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c', 'd'], forward: true });
  mesh.configure({ es: elasticsearch });
  await mesh.add({ from: owner, to: ['es'], index, twoWay: false });
  await using daemon = await replaying(mesh);
  await indexed(mesh);
  for (const [place, node] of mesh.nodes.entries()) {
    const first = 4 * place + 1;
    await mesh.sql(node, `insert into public.t values (${100 + place}, 0, '${node}'); update public.t set info = '${node}' where id = ${first}; delete from public.t where id = ${first + 1}; update public.t set id = ${200 + place} where id = ${first + 2}`); // prettier-ignore
  }
  await indexed(mesh);
  daemon.kill('SIGTERM');
  await daemon.exit();
  await mesh.sql('b', "update public.t set info = 'earlier' where id = 20");
  await mesh.sql('d', "update public.t set info = 'later' where id = 20");
  await using again = await replaying(mesh);
  await indexed(mesh);
  expect(await mesh.sql(owner, 'select info from public.t where id = 20')).toEqual([{ info: 'later' }]);
  const lists = JSON.parse((await mesh.pgrep('conflicts', 'list', '--json')).stdout) as { conflicts: readonly { id: unknown; node: string }[] }; // prettier-ignore
  const [lost] = lists.conflicts;
  expect((await mesh.pgrep('conflicts', 'restore', String(lost?.id), '--node', String(lost?.node))).code).toBe(0);
  await waitFor(async () => (await mesh.sql(owner, "select from public.t where id = 20 and info = 'earlier'")).length === 1, { what: 'the restored row' }); // prettier-ignore
  await indexed(mesh);
  await mesh.sql('d', 'truncate public.t');
  await indexed(mesh);
  expect(await mesh.sql(owner, 'select from public.t')).toEqual([]);
  expect(again.running).toBe(true);
}); // prettier-ignore
