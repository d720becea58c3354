import { addTable } from '../app/add-table.ts';
import type { TableName } from '../core/route.ts';
import type { Cluster, TortureNode } from './cluster.ts';
import { insist } from './insist.ts';
import type { Say, Topology } from './options.ts';
import type { Replayers } from './replayers.ts';
import { joinOf, type Addition, type Shape } from './topology.ts';
import { initialRows } from './workload/operations.ts';
import { observeSql } from './workload/observe-sql.ts';
import { asideTable, createTablesSql, tables } from './workload/tables-sql.ts';

/** Starts the servers, fills the first one and links them all by `addTable`. */
export async function found(
  cluster: Cluster,
  { shape, allKeys }: { readonly shape: Shape; readonly allKeys: number },
  signal: AbortSignal,
): Promise<void> {
  const nodes = await Promise.all(shape.names.map((name) => cluster.add(name)));
  for (const node of nodes) await cluster.query(node, createTablesSql);
  const hub = nodes.find(({ name }) => name === shape.hub);
  const { text, values } = initialRows(allKeys);
  if (hub !== undefined) await cluster.query(hub, text, values);
  for (const addition of shape.additions) await link(cluster, addition, signal);
  if (shape.aside !== null) await link(cluster, shape.aside, signal, [asideTable]);
  for (const node of nodes) await observe(cluster, node);
  if (hub !== undefined) await cluster.query(hub, logInitialSql);
}

/** Starts one more server and links it with those that are there, under load and faults. */
export async function joinNode(
  {
    cluster,
    replayers,
    topology,
    hub,
    name,
    say,
  }: {
    readonly cluster: Cluster;
    readonly replayers: Replayers;
    readonly topology: Topology;
    readonly hub: string;
    readonly name: string;
    readonly say: Say;
  },
  signal: AbortSignal,
): Promise<TortureNode> {
  const members = cluster.members.map((member) => member.name);
  const node = await cluster.add(name);
  await cluster.query(node, createTablesSql);
  await replayers.restart();
  await insist(() => link(cluster, joinOf(topology, { hub, members, name }), signal), say, signal);
  await insist(() => observe(cluster, node), say, signal);
  return node;
}

async function link(
  cluster: Cluster,
  { from, to, forward }: Addition,
  signal: AbortSignal,
  linked: readonly TableName[] = tables.map(({ table }) => table),
): Promise<void> {
  await using app = cluster.app();
  for (const table of linked) {
    await addTable(app, { table, from, to, twoWay: true, forward, copy: true, replace: false, dryRun: false }, () => undefined, signal); // prettier-ignore
  }
}

/** From now on the node logs what its writers commit. */
async function observe(cluster: Cluster, node: TortureNode): Promise<void> {
  await using session = await cluster.session(node);
  const { rows } = await session.query(`select n.node_id, t.table_id, t.table_name from pgrep.node n cross join pgrep.captured_table t where n.is_self`); // prettier-ignore
  const observed = tables.map((table) => {
    const found = rows.find((row) => row['table_name'] === table.table.name);
    return { ...table, tableId: String(found?.['table_id']) };
  });
  await session.script(observeSql(node.name, Number(rows[0]?.['node_id']), observed));
}

const logInitialSql = `insert into pgrep_torture.commit (ordinal, xid, kind, table_name, key, version, tag, old_tag, seen)
select 0, 0, 'initial', 'torture.parent', array[t.id::text], 0, t.tag, null, 0 from torture.parent t`;
