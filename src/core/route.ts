/** The glossary of what is replicated: node, table, route, link. The words mean the same in SQL, logs and docs. */

/** A node's name in `pgrep.json`. */
export type NodeName = string;

/** A table's schema and name, both unquoted, as in `pg_namespace.nspname` and `pg_class.relname`. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** `schema.name` for messages and logs; never for SQL. */
export function showTable(table: TableName): string {
  return `${table.schema}.${table.name}`;
}

/** One replicated column: its name at the source and its name (column or field) at the target. */
export interface RouteColumn {
  readonly source: string;
  readonly target: string;
  /**
   * The source column's type as SQL, domains resolved to their base type, without length or precision,
   * schema-qualified where it is not built in: `integer`, `text[]`, `"app"."colour"`. Read from the catalog when a route is loaded.
   */
  readonly type: string;
  /** The oid of `type`, decimal text; below 16384 the type is built in and the same in every database. */
  readonly typeOid: string;
}

/** `copying`: rows are being copied, changes wait in the queue. `live`: the table is in the link's batches. */
export type RouteState = 'copying' | 'live';

/** What to do with two concurrent versions of one row. */
export type ConflictPolicy = 'last-write-wins' | 'hold' | 'function';

/** One direction of a two-way route: rows carry versions, and what lost to a concurrent version is kept. */
export interface TwoWay {
  readonly policy: ConflictPolicy;
  /** The function that makes one row of two, as `schema.name` in SQL, quoted where needed; null unless the policy is `function`. */
  readonly function: string | null;
  /** True: what arrived at the source from other nodes is sent on, too (chains and stars). */
  readonly forward: boolean;
}

/**
 * One table's way from its source to one target. Kept in `pgrep.route` at the source.
 */
export interface Route {
  /** `pgrep.route.route_id`, a bigint as text. */
  readonly id: string;
  /** `pgrep.captured_table.table_id`, an int as text: names the queue `pgrep.queue_<tableId>`. */
  readonly tableId: string;
  readonly source: NodeName;
  readonly target: NodeName;
  readonly sourceTable: TableName;
  /** The target's table; at Elasticsearch `name` is the index and `schema` is empty. */
  readonly targetTable: TableName;
  /** Key columns by their source names, in key order; each is also in `columns`. Never empty. */
  readonly key: readonly string[];
  /** Replicated columns in table order, generated ones left out. */
  readonly columns: readonly RouteColumn[];
  /** SQL condition over the source's columns; rows that fail it are absent at the target. Null: all rows. */
  readonly filter: string | null;
  readonly state: RouteState;
  /** True while the route's copy must also delete, at the target, what the route does not hold. */
  readonly sweep: boolean;
  /** True: the queue holds arrays of keys; false: one key a row (capture's queue layout). */
  readonly packed: boolean;
  /** Null: one-way, the target holds what the source has. Its way back is a route of its own, kept at the target. */
  readonly twoWay: TwoWay | null;
}

/** All routes from one source to one target: they share batches, a position and a replayer loop. */
export interface Link {
  readonly source: NodeName;
  readonly target: NodeName;
}

/** `source->target`, for logs, messages and lock names. */
export function showLink(link: Link): string {
  return `${link.source}->${link.target}`;
}
