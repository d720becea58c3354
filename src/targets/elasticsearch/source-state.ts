import { PgrepError } from '../../core/error.ts';
import type { Link } from '../../core/route.ts';
import type { Batch, LinkPosition, TablePosition } from '../target.ts';

/**
 * The source database, where the positions of Elasticsearch links are kept. A session of `src/db` fits.
 * It must be another one than the session that reads the batch: that is in a read-only transaction.
 */
export interface SourceStore {
  query(text: string, values?: readonly unknown[]): Promise<{ rows: readonly Readonly<Record<string, unknown>>[] }>;
}

const positionSql = `
select pg_catalog.json_build_object(
  'epoch', p.epoch::text, 'snapshot', p.snapshot::text, 'systemIdentifier', p.system_identifier::text, 'database', p.database,
  'timeline', p.timeline, 'tables', (
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('routeId', t.route_id::text, 'snapshot', t.snapshot::text,
      'lastKey', t.last_key, 'copiedRows', t.copied_rows, 'copied', t.copied)), '[]')
    from pgrep.table_position t where t.source = p.source and t.target = p.target)
)::text as position
from pgrep.position p where p.source = $1 and p.target = $2`;

const beginSql = 'insert into pgrep.position (source, target) values ($1, $2) on conflict do nothing';

interface PositionDocument {
  readonly epoch: string;
  readonly snapshot: string | null;
  readonly systemIdentifier: string | null;
  readonly database: string | null;
  readonly timeline: number | null;
  readonly tables: readonly (TablePosition & { readonly routeId: string })[];
}

/** Reads where a link stands; makes its row the first time. */
export async function readPosition(source: SourceStore, link: Link): Promise<LinkPosition> {
  const names = [link.source, link.target];
  let text = (await source.query(positionSql, names)).rows[0]?.['position'];
  if (text === undefined) {
    await source.query(beginSql, names);
    text = (await source.query(positionSql, names)).rows[0]?.['position'];
  }
  const found = JSON.parse(String(text)) as PositionDocument;
  const { systemIdentifier, database, timeline } = found;
  return {
    epoch: found.epoch,
    snapshot: found.snapshot,
    tables: new Map(found.tables.map(({ routeId, ...table }) => [routeId, table])),
    origin:
      systemIdentifier === null || database === null || timeline === null
        ? null
        : { systemIdentifier, database, timeline },
  };
}

/** The epoch alone; null when the link has no position (any more). */
export async function readEpoch(source: SourceStore, link: Link): Promise<string | null> {
  const sql = 'select p.epoch::text as epoch from pgrep.position p where p.source = $1 and p.target = $2';
  const { rows } = await source.query(sql, [link.source, link.target]);
  return rows[0] === undefined ? null : String(rows[0]['epoch']);
}

// One statement each, so that fence and mark are one transaction on any connection.
const fenced = (snapshot: string): string => `
with moved as (
  update pgrep.position p
  set epoch = p.epoch + 1, snapshot = ${snapshot}, system_identifier = $4::bigint, database = $5, timeline = $6::integer,
    applied_at = pg_catalog.clock_timestamp()
  where p.source = $1 and p.target = $2 and p.epoch = $3::bigint
  returning 1
)`;
const countMoved = 'select pg_catalog.count(*)::text as moved from moved';

const markPositionSql = `${fenced('$7::pg_catalog.pg_snapshot')}, joined as (
  delete from pgrep.table_position t using moved where t.source = $1 and t.target = $2 and t.route_id = any ($8::bigint[])
) ${countMoved}`;

const markCopySql = `${fenced('p.snapshot')}, copied as (
  insert into pgrep.table_position (source, target, route_id, snapshot, last_key, copied_rows, copied)
  select $1, $2, $7::bigint, $8::pg_catalog.pg_snapshot, $9::text[], $10::bigint, $11::boolean from moved
  on conflict (source, target, route_id) do update set snapshot = excluded.snapshot, last_key = excluded.last_key,
    copied_rows = excluded.copied_rows, copied = excluded.copied
) ${countMoved}`;

const markNoneSql = `${fenced('p.snapshot')} ${countMoved}`;

/** Moves the fence and writes the batch's mark in one transaction. False: the fence had moved, nothing was written. */
export async function commitMark(
  source: SourceStore,
  link: Link,
  batch: Pick<Batch, 'epoch' | 'mark' | 'origin'>,
): Promise<boolean> {
  const { mark, origin } = batch;
  const fence = [link.source, link.target, batch.epoch, origin.systemIdentifier, origin.database, origin.timeline];
  const { rows } = await source.query(...statementOf(mark, fence));
  return rows[0]?.['moved'] === '1';
}

function statementOf(mark: Batch['mark'], fence: readonly unknown[]): [string, readonly unknown[]] {
  switch (mark.kind) {
    case 'position':
      return [markPositionSql, [...fence, mark.snapshot, [...mark.joined]]];
    case 'copy': {
      const { snapshot, lastKey, copiedRows, copied } = mark.table;
      return [
        markCopySql,
        [...fence, mark.routeId, snapshot, lastKey === null ? null : [...lastKey], copiedRows, copied],
      ];
    }
    case 'none':
      return [markNoneSql, fence];
  }
}

// Any fixed number: held only for the moment of one setval.
const buildLock = 5_747_310_201;

// A second of slack: builds that others draw while the lock is held cannot come near the new value from below.
const raiseBuildSql = `do $$
begin
  perform pg_catalog.pg_advisory_xact_lock(${buildLock});
  perform pg_catalog.setval('pgrep.build', c.micros)
  from pgrep.build b, (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint as micros) c
  where c.micros > b.last_value + 1000000;
end $$`;

/**
 * Raises `pgrep.build` to the clock. Builds are drawn one a batch, so the sequence never overtakes the clock, and what a source
 * that was restored from a backup draws next is above all that was written to the index before. Never lowers it.
 */
export async function raiseBuild(source: SourceStore): Promise<void> {
  await source.query(raiseBuildSql);
}

/** A build number of a batch, checked; throws `bug` when the batch was read for another kind of target. */
export function buildOf(batch: Pick<Batch, 'build'>): string {
  if (batch.build !== null) return batch.build;
  throw new PgrepError('bug', 'A batch for Elasticsearch came without a build number.');
}
