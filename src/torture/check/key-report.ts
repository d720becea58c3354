import { showTable } from '../../core/route.ts';
import { literal, tableIdent } from '../../db/quote.ts';
import type { Cluster, TortureNode } from '../cluster.ts';
import { tables } from '../workload/tables-sql.ts';
import type { Commit } from './history.ts';

/** Everything that is known of one key: at each node its row, version, queue rows and conflicts; then who committed what, in order. */
export async function reportKey(
  cluster: Cluster,
  { table, key }: { readonly table: string; readonly key: string },
  commits: readonly Commit[],
): Promise<readonly string[]> {
  const lines = [`${table} ${key}`];
  for (const node of cluster.members) {
    for (const [what, sql] of await questions(cluster, node, { table, key })) {
      const rows = await cluster.query(node, sql);
      lines.push(...rows.map((row) => `  ${node.name} ${what} ${String(row['line'])}`));
    }
  }
  return [...lines, ...commits.map((commit) => `  committed ${showCommit(commit)}`)];
}

async function questions(
  cluster: Cluster,
  node: TortureNode,
  { table, key }: { readonly table: string; readonly key: string },
): Promise<readonly (readonly [string, string])[]> {
  const known = tables.find((each) => showTable(each.table) === table);
  const [row] = await cluster.query(node, `select t.table_id from pgrep.captured_table t where t.nsp_name || '.' || t.table_name = ${literal(table)}`); // prettier-ignore
  if (known === undefined || row === undefined) return [];
  const id = String(row['table_id']);
  const values = JSON.parse(key) as readonly string[];
  const is = (alias: string, columns: readonly string[]): string => columns.map((column, place) => `${alias}.${column}::text = ${literal(values[place] ?? '')}`).join(' and '); // prettier-ignore
  const names = known.key.map((_, place) => `k${place + 1}`);
  return [
    ['row', `select pg_catalog.to_json(t)::text as line from ${tableIdent(known.table)} t where ${is('t', known.key)}`],
    ['version', `select pg_catalog.to_json(t)::text as line from pgrep.row_version_${id} t where ${is('t', names)}`],
    ['floor', `select pg_catalog.to_json(t)::text as line from pgrep.versioned_table t where t.table_id = ${id}`],
    ['queue', `select pg_catalog.json_build_object('xid', q.xid, 'version', q.version, 'from_node', q.from_node, 'truncated', q.truncated)::text as line
      from pgrep.queue_${id} q left join lateral rows from (${names.map((name) => `pg_catalog.unnest(q.${name})`).join(', ')}) k (${names.join(', ')}) on true where q.truncated or ${is('k', names)} order by q.xid`], // prettier-ignore
    ['conflict', `select pg_catalog.to_json(c)::text as line from pgrep.conflict c where c.nsp_name || '.' || c.table_name = ${literal(table)} and c.key = array[${values.map(literal).join(', ')}] order by c.id`], // prettier-ignore
    ['held', `select pg_catalog.to_json(e)::text as line from pgrep.sync_err_rec e where e.nsp_name || '.' || e.table_name = ${literal(table)} and e.key = array[${values.map(literal).join(', ')}]`], // prettier-ignore
  ];
}

function showCommit({ node, ordinal, xid, kind, version, tag, oldTag, seen, lost }: Commit): string {
  return `${version} ${kind} at ${node}${lost ? ' (lost)' : ''} #${ordinal} xid ${xid}: ${oldTag ?? 'absent'} -> ${tag ?? 'absent'}, found version ${seen}`;
}
