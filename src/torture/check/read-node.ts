import { literal, tableIdent } from '../../db/quote.ts';
import { showTable } from '../../core/route.ts';
import type { Row } from '../../db/session.ts';
import { tables } from '../workload/tables-sql.ts';
import type { Cluster, TortureNode } from '../cluster.ts';
import type { Commit, RecordedConflict } from './history.ts';

/** A row as a node has it. */
export interface NodeRow {
  readonly table: string;
  /** Key values as a JSON array of texts. */
  readonly key: string;
  readonly tag: string;
  /** The whole row as JSON. */
  readonly text: string;
}

/** All rows of a node's tables. */
export async function readRows(cluster: Cluster, node: TortureNode): Promise<readonly NodeRow[]> {
  const selects = tables.map(
    ({ table, key }) =>
      `select ${literal(showTable(table))} as name, pg_catalog.array_to_json(array[${key.map((column) => `t.${column}::text`).join(', ')}])::text as key, t.tag, pg_catalog.to_json(t)::text as text from ${tableIdent(table)} t`,
  );
  const rows = await cluster.query(node, selects.join(' union all '));
  return rows.map((row) => ({ table: text(row, 'name'), key: text(row, 'key'), tag: text(row, 'tag'), text: text(row, 'text') })); // prettier-ignore
}

/** What was committed at a node, by pgrep or by its writers. */
export async function readCommits(cluster: Cluster, node: TortureNode): Promise<readonly Commit[]> {
  const rows = await cluster.query(
    node,
    `select c.ordinal, c.xid, c.kind, c.table_name, pg_catalog.array_to_json(c.key)::text as key, c.version, c.tag, c.old_tag, c.seen from pgrep_torture.commit c order by c.ordinal`,
  );
  return rows.map((row) => ({
    node: node.name,
    ordinal: BigInt(text(row, 'ordinal')),
    xid: text(row, 'xid'),
    kind: text(row, 'kind') as Commit['kind'],
    table: text(row, 'table_name'),
    key: optional(row, 'key'),
    version: BigInt(text(row, 'version')),
    tag: optional(row, 'tag'),
    oldTag: optional(row, 'old_tag'),
    seen: BigInt(text(row, 'seen')),
    lost: node.state === 'lost',
  }));
}

/** The conflicts that a node recorded. */
export async function readConflicts(cluster: Cluster, node: TortureNode): Promise<readonly RecordedConflict[]> {
  const rows = await cluster.query(
    node,
    `select c.nsp_name || '.' || c.table_name as name, pg_catalog.array_to_json(c.key)::text as key, c.local_version, c.remote_version,
      c.local_row ->> 'tag' as local_tag, c.remote_row ->> 'tag' as remote_tag, c.verdict from pgrep.conflict c order by c.id`,
  );
  return rows.map((row) => ({
    node: node.name,
    table: text(row, 'name'),
    key: text(row, 'key'),
    localVersion: BigInt(text(row, 'local_version')),
    remoteVersion: BigInt(text(row, 'remote_version')),
    localTag: optional(row, 'local_tag'),
    remoteTag: optional(row, 'remote_tag'),
    verdict: text(row, 'verdict'),
  }));
}

/** What pgrep still keeps at a node: rows of queues and sidecars, and held rows. */
export interface Kept {
  readonly node: string;
  readonly queued: number;
  readonly versions: number;
  readonly held: number;
}

/** Counts what a node keeps. */
export async function readKept(cluster: Cluster, node: TortureNode): Promise<Kept> {
  const ids = (await cluster.query(node, 'select v.table_id from pgrep.versioned_table v')).map((row) => text(row, 'table_id')); // prettier-ignore
  const sum = (name: string): string => ids.map((id) => `(select pg_catalog.count(*) from pgrep.${name}_${id})`).join(' + ') || '0'; // prettier-ignore
  const [row] = await cluster.query(node, `select ${sum('queue')} as queued, ${sum('row_version')} as versions, (select pg_catalog.count(*) from pgrep.sync_err_rec) as held`); // prettier-ignore
  return { node: node.name, queued: Number(row?.['queued']), versions: Number(row?.['versions']), held: Number(row?.['held']) }; // prettier-ignore
}

function text(row: Row, name: string): string {
  return String(row[name]);
}

function optional(row: Row, name: string): string | null {
  const value = row[name];
  return typeof value === 'string' ? value : null;
}
