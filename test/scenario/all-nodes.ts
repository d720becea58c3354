import { expect } from 'vitest';
import { waitForTargets } from '../../src/app/wait.ts';
import type { Mesh, Row } from '../integration/mesh.ts';
import type { PgrepProcess } from '../support/daemon.ts';
import { waitFor } from '../support/wait.ts';

const never = new AbortController().signal;

/** A digest of `public.t`. */
export const wholeTable =
  "select count(*)::integer as rows, md5(string_agg(t::text, ',' order by t.id)) as sum from public.t t";

/** Starts `pgrep run` and returns once it replays. */
export async function replaying(mesh: Mesh, ...args: string[]): Promise<PgrepProcess> {
  const started = mesh.spawn('run', ...args);
  await started.says(/"msg":"replaying"/);
  return started;
}

/** Where to look for equal answers. */
interface SameAt {
  /** Default: all. */
  readonly nodes?: readonly string[];
  /** Wait for links that lead to this node; default: for all, null: for none. */
  readonly to?: string | null;
}

/** Waits until nothing is under way and `query` gives the same at all nodes; gives that answer. */
export async function sameEverywhere(
  mesh: Mesh,
  query = wholeTable,
  { nodes = mesh.nodes, to }: SameAt = {},
): Promise<readonly Row[]> {
  await using app = mesh.app();
  const links = typeof to === 'string' ? { to } : {};
  return await waitFor(
    async () => {
      const reached = to === null || (await waitForTargets(app, { timeoutSeconds: 20, ...links }, never)).reached;
      const [first, ...others] = await Promise.all(nodes.map((node) => mesh.sql(node, query)));
      return reached && others.every((each) => JSON.stringify(each) === JSON.stringify(first)) ? first : null;
    },
    { what: `the same answer at ${nodes.join(', ')}`, deadlineMs: 60_000, everyMs: 100 },
  );
}

/** Expects that no node has recorded a conflict or holds a row. */
export async function expectNoConflicts(mesh: Mesh): Promise<void> {
  const found = await mesh.everywhere(
    `select 'conflict' as what, c.kind || ' ' || c.key::text as of from pgrep.conflict c union all select e.reason, e.message from pgrep.sync_err_rec e`,
  );
  expect(found).toEqual(Object.fromEntries(mesh.nodes.map((node) => [node, []])));
}

/** From now on the clock of what is written at a node is `seconds` ahead of the server's (negative: behind). */
export async function setClock(mesh: Mesh, node: string, seconds: number): Promise<void> {
  // Only the time within the version's formula is another.
  await mesh.sql(
    node,
    `do $$ begin
      execute (select 'alter table pgrep.queue_1 alter column version set default ' || pg_catalog.regexp_replace(
        pg_catalog.pg_get_expr(d.adbin, d.adrelid), $r$[(]clock_timestamp[(][)] [+] '[^']*'::interval[)]|clock_timestamp[(][)]$r$, $r$(clock_timestamp() + '${seconds} seconds'::interval)$r$, 'g')
      from pg_catalog.pg_attrdef d join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = 'pgrep.queue_1'::regclass and a.attname = 'version');
    end $$`,
  );
}
