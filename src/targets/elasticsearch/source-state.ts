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

/** The fence of a batch: what must still be so when its mark is committed. */
type Fenced = Pick<Batch, 'epoch' | 'mark'>;

/** False: another replayer (or another copy of the same table) has moved on, so the batch cannot be committed any more. */
export async function isFenceStanding(source: SourceStore, link: Link, batch: Fenced): Promise<boolean> {
  const { mark } = batch;
  const { rows } =
    mark.kind === 'copy'
      ? await source.query(
          `select 1 from pgrep.table_position t where t.source = $1 and t.target = $2 and t.route_id = $3::bigint
           and t.copied_rows = $4::bigint and not t.copied`,
          [link.source, link.target, mark.routeId, mark.seenRows],
        )
      : await source.query(
          'select 1 from pgrep.position p where p.source = $1 and p.target = $2 and p.epoch = $3::bigint',
          [link.source, link.target, batch.epoch],
        );
  return rows.length > 0;
}

// One statement each, so that fence and mark are one transaction on any connection. A mark that was lost in a crash is harmless
// (its batch is repeated), so only a durable one waits for the disk; the setting ends with the statement's own transaction.
const answer = (durable: string): string =>
  `select pg_catalog.count(*)::text as moved, pg_catalog.set_config('synchronous_commit', ${durable}, true) from moved`;

const markPositionSql = `
with moved as (
  update pgrep.position p
  set epoch = p.epoch + 1, snapshot = $4::pg_catalog.pg_snapshot, system_identifier = $5::bigint, database = $6, timeline = $7::integer,
    applied_at = pg_catalog.clock_timestamp()
  where p.source = $1 and p.target = $2 and p.epoch = $3::bigint
  returning 1
), joined as (
  delete from pgrep.table_position t using moved
  where t.source = $1 and t.target = $2 and t.copied and t.route_id = any ($8::bigint[])
) ${answer("case when $9::boolean then 'on' else 'off' end")}`;

const markCopySql = `
with moved as (
  update pgrep.table_position t
  set last_key = $5::text[], copied_rows = $6::bigint, copied = $7::boolean
  where t.source = $1 and t.target = $2 and t.route_id = $3::bigint and t.copied_rows = $4::bigint and not t.copied
  returning 1
) ${answer("'on'")}`;

const markNoneSql = `
with moved as (
  update pgrep.position p set epoch = p.epoch + 1
  where p.source = $1 and p.target = $2 and p.epoch = $3::bigint
  returning 1
) ${answer("'on'")}`;

/** Moves the fence and writes the batch's mark in one transaction. False: the fence had moved, nothing was written. */
export async function commitMark(
  source: SourceStore,
  link: Link,
  batch: Fenced & Pick<Batch, 'origin'>,
): Promise<boolean> {
  const { rows } = await source.query(...statementOf(link, batch));
  return rows[0]?.['moved'] === '1';
}

function statementOf(
  link: Link,
  { epoch, mark, origin }: Fenced & Pick<Batch, 'origin'>,
): [string, readonly unknown[]] {
  const names = [link.source, link.target];
  switch (mark.kind) {
    case 'position': {
      const { systemIdentifier, database, timeline } = origin;
      const values = [epoch, mark.snapshot, systemIdentifier, database, timeline, [...mark.joined], mark.durable];
      return [markPositionSql, [...names, ...values]];
    }
    case 'copy': {
      const { lastKey, copiedRows, copied } = mark.table;
      const values = [mark.routeId, mark.seenRows, lastKey === null ? null : [...lastKey], copiedRows, copied];
      return [markCopySql, [...names, ...values]];
    }
    case 'none':
      return [markNoneSql, [...names, epoch]];
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
