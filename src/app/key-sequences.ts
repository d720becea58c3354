import type { TableName } from '../core/route.ts';
import { ident, tableIdent } from '../db/quote.ts';
import type { Session } from '../db/session.ts';

/** The sequence that fills a key column at one node (serial, identity, or a default of nextval), as it is now. */
export interface KeySequence {
  readonly node: string;
  readonly nodeId: number;
  readonly table: TableName;
  readonly column: string;
  readonly sequence: TableName;
  readonly increment: bigint;
  readonly start: bigint;
  readonly min: bigint;
  /** The least of what the sequence and the column can hold. */
  readonly max: bigint;
  readonly cycle: boolean;
  readonly lastValue: bigint;
  /** False: `lastValue` itself is what comes next. */
  readonly isCalled: boolean;
}

/** The sequence of a table's column; null: it has none. */
export async function readKeySequence(
  session: Session,
  { nodeId, table, column }: { nodeId: number; table: TableName; column: string },
): Promise<KeySequence | null> {
  const { rows } = await session.query(sequenceSql, [table.schema, table.name, column]);
  const row = rows[0];
  if (row === undefined) return null;
  const sequence = { schema: String(row['nspname']), name: String(row['relname']) };
  const number = (name: string): bigint => BigInt(String(row[name]));
  return {
    ...{ node: session.node, nodeId, table, column, sequence },
    ...{ increment: number('seqincrement'), start: number('seqstart'), min: number('seqmin'), max: number('most') },
    cycle: row['seqcycle'] === 't',
    ...(await readLastValue(session, sequence)),
  };
}

/** Where a sequence stands. */
export async function readLastValue(
  session: Session,
  sequence: TableName,
): Promise<Pick<KeySequence, 'lastValue' | 'isCalled'>> {
  const { rows } = await session.query(`select s.last_value, s.is_called from ${tableIdent(sequence)} s`);
  return { lastValue: BigInt(String(rows[0]?.['last_value'])), isCalled: rows[0]?.['is_called'] === 't' };
}

/** The highest value of a column; 0 for an empty table. */
export async function readHighest(session: Session, table: TableName, column: string): Promise<bigint> {
  const { rows } = await session.query(
    `select pg_catalog.floor(coalesce(pg_catalog.max(t.${ident(column)}), 0)::numeric)::text as highest from ${tableIdent(table)} t`,
  );
  return BigInt(String(rows[0]?.['highest']));
}

/** What the sequence gives next. */
export function nextValue({ lastValue, isCalled, increment }: KeySequence): bigint {
  return isCalled ? lastValue + increment : lastValue;
}

// An identity column owns its sequence (internal dependency); of others the default expression depends on it, owned or not.
const sequenceSql = `select n.nspname, c.relname, s.seqincrement, s.seqstart, s.seqmin, s.seqcycle,
  case b.base when 'smallint'::regtype then least(s.seqmax, 32767) when 'integer'::regtype then least(s.seqmax, 2147483647) else s.seqmax end as most
from pg_catalog.pg_attribute a
join pg_catalog.pg_class t on t.oid = a.attrelid
join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
cross join lateral (select case when y.typtype = 'd' then y.typbasetype else y.oid end as base from pg_catalog.pg_type y where y.oid = a.atttypid) b
join pg_catalog.pg_depend d
  on (a.attidentity <> '' and d.deptype = 'i' and d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.refobjid = t.oid and d.refobjsubid = a.attnum)
  or (d.classid = 'pg_catalog.pg_attrdef'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.objid = (select f.oid from pg_catalog.pg_attrdef f where f.adrelid = t.oid and f.adnum = a.attnum))
join pg_catalog.pg_sequence s on s.seqrelid = case when a.attidentity <> '' and d.deptype = 'i' then d.objid else d.refobjid end
join pg_catalog.pg_class c on c.oid = s.seqrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where tn.nspname = $1 and t.relname = $2 and a.attname = $3 and not a.attisdropped
order by c.oid limit 1`;
