import { PgrepError } from '../../core/error.ts';
import { showLink, type Link } from '../../core/route.ts';
import { literal } from '../../db/quote.ts';
import type { Batch, LinkPosition, Mark, SourceOrigin, TablePosition } from '../target.ts';
import type { TargetConnection, TargetRow } from './connection.ts';

/** Reads a link's position; makes its row when the link is new. */
export async function readPosition(connection: TargetConnection, link: Link): Promise<LinkPosition> {
  const rows = await connection.script(`insert into pgrep.position (source, target)
values (${literal(link.source)}, ${literal(link.target)}) on conflict (source, target) do nothing;
select p.epoch::text as epoch, p.snapshot::text as snapshot, p.system_identifier::text as system, p.database, p.timeline::text as timeline,
  (select pg_catalog.json_agg(pg_catalog.json_build_object('route', t.route_id::text, 'snapshot', t.snapshot::text,
      'lastKey', t.last_key, 'copiedRows', t.copied_rows, 'copied', t.copied))
   from pgrep.table_position t where t.source = p.source and t.target = p.target)::text as tables
from pgrep.position p where ${whereLink(link)}`);
  const row = rows[0];
  if (row === undefined)
    throw new PgrepError('bug', `The position of link ${showLink(link)} vanished while it was read.`);
  return {
    epoch: String(row['epoch']),
    snapshot: text(row['snapshot']),
    tables: readTables(text(row['tables'])),
    origin: readOrigin(row),
  };
}

/**
 * SQL that moves the fence and the position; it gives one row if the fence still stood where the batch saw it, else none.
 * The first statement of a batch's transaction: of two appliers the second waits here and then finds the fence moved.
 */
export function markSql(
  link: Link,
  { mark, epoch, origin, tables }: Pick<Batch, 'mark' | 'epoch' | 'origin' | 'tables'>,
): string {
  switch (mark.kind) {
    case 'none':
      return `update pgrep.position set epoch = epoch + 1 where ${whereLink(link)} and epoch = ${epoch} returning 1 as fenced;`;
    case 'copy':
      return copyMark(link, mark.routeId, mark.table, mark.seenRows);
    case 'position':
      return `update pgrep.position set epoch = epoch + 1, snapshot = ${literal(mark.snapshot)}, system_identifier = ${literal(origin.systemIdentifier)},
  database = ${literal(origin.database)}, timeline = ${origin.timeline}, changes = changes + ${tables.length === 0 && mark.joined.length === 0 ? 0 : 1}, applied_at = pg_catalog.clock_timestamp()
where ${whereLink(link)} and epoch = ${epoch} returning 1 as fenced;`;
  }
}

/** Statements by which copied tables join their link. Not sooner than their rows are judged: until then they have not seen what it has. */
export function joinedSql(link: Link, mark: Mark): readonly string[] {
  if (mark.kind !== 'position' || mark.joined.length === 0) return [];
  return [
    `delete from pgrep.table_position where ${whereLink(link)} and copied and route_id in (${mark.joined.join(', ')})`,
  ];
}

function copyMark(link: Link, routeId: string, table: TablePosition, seenRows: number): string {
  const lastKey = table.lastKey === null ? 'null' : `array[${table.lastKey.map(literal).join(', ')}]::text[]`;
  return `update pgrep.table_position set last_key = ${lastKey}, copied_rows = ${table.copiedRows}, copied = ${table.copied}
where ${whereLink(link)} and route_id = ${routeId} and copied_rows = ${seenRows} and not copied returning 1 as fenced;`;
}

function whereLink(link: Link): string {
  return `source = ${literal(link.source)} and target = ${literal(link.target)}`;
}

interface StoredTable {
  readonly route: string;
  readonly snapshot: string;
  readonly lastKey: readonly string[] | null;
  readonly copiedRows: number;
  readonly copied: boolean;
}

function readTables(json: string | null): ReadonlyMap<string, TablePosition> {
  const list = json === null ? [] : (JSON.parse(json) as readonly StoredTable[]);
  return new Map(list.map(({ route, ...position }) => [route, position]));
}

function readOrigin(row: TargetRow): SourceOrigin | null {
  const systemIdentifier = text(row['system']);
  if (systemIdentifier === null) return null;
  return { systemIdentifier, database: String(row['database']), timeline: Number(row['timeline']) };
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
