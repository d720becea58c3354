import { PgrepError } from '../core/error.ts';
import type { Link, Route } from '../core/route.ts';
import type { Session } from '../db/session.ts';
import type { Arrived } from '../queue/peek.ts';
import { stampedNamedKeys, stampedQueuedKeys, type QueueExtent } from '../queue/stamped-keys.ts';
import type { ChangedTable, Exchange } from '../targets/target.ts';
import { foldBusySql } from '../versions/fold-sql.ts';
import { describeVersioned } from '../versions/install-versions.ts';
import { renewSql } from '../versions/renew-sql.ts';
import { readSeen, seenSql } from '../versions/seen.ts';
import { floorFunction } from '../versions/changed-sql.ts';
import type { VersionedTable } from '../versions/versioned-table.ts';

type RunQuery = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

export interface BatchFacts {
  readonly arrived: Arrived | null;
  readonly passes: Exchange['passes'];
  readonly complete: Exchange['complete'];
}

/** `before`: see `ChangedVersions`. */
export interface LinkExtent extends Omit<QueueExtent, 'forwardsTo'> {
  readonly before: string | null;
}

/** The two-way side of a link's source: which tables have versions, and what a batch tells of them. */
export class LinkVersions {
  readonly #link: Link;
  readonly #tables: ReadonlyMap<string, VersionedTable>;
  readonly #self: number;
  readonly #target: number;
  readonly #relays: boolean;

  /** Null: none of the routes is two-way. Throws `table` or `bug` when what belongs to a two-way route is missing at the source. */
  static async load(session: Session, link: Link, routes: readonly Route[]): Promise<LinkVersions | null> {
    const twoWay = routes.filter((route) => route.twoWay !== null);
    if (twoWay.length === 0) return null;
    const tables = new Map<string, VersionedTable>();
    for (const { tableId } of twoWay) tables.set(tableId, await describeVersioned(session, tableId));
    await session.script(renewSql([...tables.keys()]).join(';\n'));
    const self = await nodeId(session, link.source);
    const target = await nodeId(session, link.target);
    const relays = twoWay.some((route) => route.twoWay?.forward === true);
    return new LinkVersions({ link, tables, self, target, relays });
  }

  private constructor(parts: {
    link: Link;
    tables: ReadonlyMap<string, VersionedTable>;
    self: number;
    target: number;
    relays: boolean;
  }) {
    this.#link = parts.link;
    this.#tables = parts.tables;
    this.#self = parts.self;
    this.#target = parts.target;
    this.#relays = parts.relays;
  }

  /**
   * What the batch of an open view tells the target. `arrived`: what a look in the same snapshot said, null: the view is asked;
   * `passes`, where the source forwards, and `complete`: see `Exchange`.
   */
  async exchange({ arrived, passes, complete }: BatchFacts, query: RunQuery): Promise<Exchange> {
    const seen =
      arrived?.seen ??
      readSeen((await query(`select ${seenSql(this.#link.source, this.#link.target)} as seen`))[0]?.['seen']);
    return { sender: this.#self, seen, passes: this.#relays ? passes : 'nothing', complete };
  }

  /** Folds what waits at the source, where it is much. */
  async fold(session: Session): Promise<void> {
    await session.script(foldBusySql(this.#tables.keys()));
  }

  /** A changed table whose keys come from the queue. One-way tables stay as they are. */
  async queued(table: ChangedTable, extent: LinkExtent, query: RunQuery): Promise<ChangedTable> {
    const versioned = this.#versioned(table);
    if (versioned === null) return table;
    const floor = table.sweep ? await readFloor(versioned, query) : null;
    const forwardsTo = table.route.twoWay?.forward === true ? this.#target : null;
    const keys = stampedQueuedKeys(versioned, { ...extent, forwardsTo });
    return { ...table, keys, sweep: false, versions: { table: versioned, before: extent.before, floor } };
  }

  /** A changed table whose keys a query names. One-way tables stay as they are. */
  named(table: ChangedTable): ChangedTable {
    const versioned = this.#versioned(table);
    if (versioned === null) return table;
    const keys = stampedNamedKeys(versioned, table.keys);
    return { ...table, keys, sweep: false, versions: { table: versioned, before: null, floor: null } };
  }

  #versioned({ route }: ChangedTable): VersionedTable | null {
    return route.twoWay === null ? null : (this.#tables.get(route.tableId) ?? null);
  }
}

async function readFloor(table: VersionedTable, query: RunQuery): Promise<{ version: string; xid: string }> {
  const rows = await query(
    `select f.stamp[1]::text as version, f.stamp[2]::text as xid from (select ${floorFunction(table.tableId)}() as stamp) f`,
  );
  return { version: String(rows[0]?.['version']), xid: String(rows[0]?.['xid']) };
}

async function nodeId(session: Session, name: string): Promise<number> {
  const { rows } = await session.query('select n.node_id from pgrep.node n where n.name = $1', [name]);
  const id = rows[0]?.['node_id'];
  if (id !== undefined) return Number(id);
  throw new PgrepError('route', `Node ${session.node} has two-way routes but does not know node ${name}.`, {
    hint: 'Repeat pgrep add-table with --two-way for one of the tables: it registers the nodes with each other.',
  });
}
