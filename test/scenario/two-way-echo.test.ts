import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { FaultProxy } from '../support/proxy.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'echo', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** Proxies in front of all nodes, which count how often `text` is written to each. */
class Counted implements AsyncDisposable {
  readonly counts: Record<string, number> = {};
  readonly #proxies: readonly FaultProxy[];

  static async before(mesh: Mesh, text: string): Promise<Counted> {
    const proxies = await Promise.all(mesh.nodes.map((node) => FaultProxy.open(Number(new URL(mesh.url(node)).port))));
    mesh.configure(
      Object.fromEntries(mesh.nodes.map((node, place) => [node, proxies[place]?.url(mesh.url(node)) ?? ''])),
    );
    return new Counted(mesh.nodes, proxies, text);
  }

  private constructor(nodes: readonly string[], proxies: readonly FaultProxy[], text: string) {
    this.#proxies = proxies;
    for (const [place, node] of nodes.entries()) this.#watch(node, proxies[place], text);
  }

  #watch(node: string, proxy: FaultProxy | undefined, text: string): void {
    this.counts[node] = (this.counts[node] ?? -1) + 1;
    void proxy?.watchFor(text).then(() => {
      this.#watch(node, proxy, text);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies) await proxy[Symbol.asyncDispose]();
  }
}

/** The epochs of all links, once they have not moved for five seconds, which is five looks of each. */
async function untilIdle(mesh: Mesh): Promise<void> {
  let before = '';
  let since = Date.now();
  const still = async (): Promise<boolean> => {
    const now = JSON.stringify(await mesh.everywhere('select source, epoch from pgrep.position order by source'));
    if (now !== before) since = Date.now();
    before = now;
    return Date.now() - since >= 5_000;
  };
  await waitFor(still, { what: 'five seconds without a batch', deadlineMs: 60_000, everyMs: 200 });
}

const add = ['add-table', 'public.t', '--two-way'] as const;
const once = (nodes: readonly string[], writer: string): object => Object.fromEntries(nodes.map((node) => [node, node === writer ? 0 : 1])); // prettier-ignore

test.each([
  ['mesh', 'a,b,c', ['--to b,c']],
  ['star', 'a,b,c,d', ['--to b,c,d --forward']],
  ['chain', 'a,b,c,d', ['--from b --to a,c --forward', '--from c --to d --forward']],
])('G3: a row is brought to each other node of a %s once, and never back to where it was written', async (name, letters, additions) => {
  const nodes = letters.split(',');
  await using mesh = await Mesh.create(server, name, { nodes, sql: tableSql });
  for (const args of additions) expect((await mesh.pgrep(...add, ...args.split(' '))).code).toBe(0);
  for (const writer of nodes) {
    await using counted = await Counted.before(mesh, `written at ${writer}`);
    await using daemon = await replaying(mesh);
    await mesh.sql(writer, `insert into public.t values (1, 0, 'written at ${writer}') on conflict (id) do update set info = excluded.info`);
    await sameEverywhere(mesh);
    await untilIdle(mesh);
    expect([writer, counted.counts]).toEqual([writer, once(nodes, writer)]);
    expect(daemon.running).toBe(true);
  }
  await expectNoConflicts(mesh);
}); // prettier-ignore
