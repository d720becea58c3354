import { PgrepError } from '../core/error.ts';
import type { Logger } from '../core/logger.ts';
import { showLink, showTable, type Link, type Route } from '../core/route.ts';
import type { Session } from '../db/session.ts';
import { BatchReader } from '../queue/batch-reader.ts';
import { compareOrigins } from '../queue/origin.ts';
import type { LookedAt, WatchedQueue } from '../queue/peek.ts';
import { LinkVersions } from './exchange.ts';
import { closeLink, openLink, type LinkConnections, type OpenedLink } from './link-opening.ts';
import type { LinkPosition, SourceOrigin, Target } from '../targets/target.ts';

/**
 * Everything that one link works with, opened together and thrown away together: after any failure the caller disposes of it,
 * opens a new one and reads the position again, so no state survives an error.
 */
export class LinkSession implements AsyncDisposable {
  readonly link: Link;
  /** Reads batches, in read-only snapshots. */
  readonly readSession: Session;
  /** Writes the link's own records at the source. */
  readonly control: Session;
  readonly reader: BatchReader;
  readonly target: Target;
  readonly origin: SourceOrigin;
  routes: readonly Route[] = [];
  /** The routes whose tables are in batches. */
  live: readonly Route[] = [];
  /** Null: no live route is two-way. */
  versions: LinkVersions | null = null;
  readonly #opened: OpenedLink;
  /** Read with the routes. Before that no fence stands where this epoch is. */
  #position: LinkPosition = { epoch: '-1', snapshot: null, tables: new Map(), origin: null };
  #crashed = false;
  /** True until a batch has sent again all that is queued: ids of transactions that the position has seen may be new ones. */
  #resend = false;

  /** `opened`: both ends, if they are open already; the session's from here on. */
  static async open(link: Link, connections: LinkConnections, opened?: OpenedLink): Promise<LinkSession> {
    return new LinkSession(link, opened ?? (await openLink(link, connections)));
  }

  private constructor(link: Link, opened: OpenedLink) {
    this.link = link;
    this.#opened = opened;
    this.readSession = opened.source.readSession;
    this.control = opened.source.control;
    this.target = opened.target;
    this.origin = opened.source.origin;
    this.reader = new BatchReader(this.readSession, this.target.reading);
  }

  /** True when the source's server has crashed since the link confirmed a position. */
  get crashed(): boolean {
    return this.#crashed;
  }

  /** What a route's table has seen of the source, also while everything is sent again. One that was copied is behind the link until it joins. */
  seen(routeId: string): string | null {
    return this.#position.tables.get(routeId)?.snapshot ?? this.#position.snapshot;
  }

  /** Where the link stands; while everything is to be sent again, with nothing seen. */
  get position(): LinkPosition {
    const position = this.#position;
    if (!this.#resend) return position;
    const tables = [...position.tables].map(([id, table]) => [id, { ...table, snapshot: everythingUnseen }] as const);
    return { ...position, snapshot: everythingUnseen, tables: new Map(tables) };
  }

  set position(position: LinkPosition) {
    this.#position = position;
  }

  /** A batch with a position of its own was committed. */
  moved(position: LinkPosition): void {
    this.#position = position;
    this.#resend = false;
  }

  /** Loads the routes, reads the position and prepares the target for the live ones. Gives the generation that the routes are of, or of an earlier one. */
  async loadRoutes(signal: AbortSignal): Promise<string> {
    const { generation, crashed, routes } = await this.#opened.source.loadRoutes();
    this.#crashed = crashed;
    this.routes = routes;
    this.live = this.routes.filter((route) => route.state === 'live');
    this.versions = await LinkVersions.load(this.control, this.link, this.live);
    this.position = await this.target.position(signal);
    // Made up for, where a link was killed between the batch that took a table in and its record of it.
    const { snapshot, tables } = this.#position;
    if (snapshot !== null) await this.markJoined(this.live.filter(({ id }) => !tables.has(id)).map(({ id }) => id));
    await this.target.prepare(this.live, signal);
    return generation;
  }

  /**
   * Records that tables are in batches: else their queues would never be emptied. Not of a table whose copy has begun anew since its
   * route was loaded: it needs its queue.
   */
  async markJoined(routeIds: readonly string[]): Promise<void> {
    if (routeIds.length === 0) return;
    const text = `update pgrep.route set joined = true where not joined and state = 'live' and route_id = any ($1::bigint[])`;
    await this.control.query(text, [routeIds]);
  }

  /** Prepares for the copy of one route, which is in no batch yet. */
  async prepareCopy(route: Route, signal: AbortSignal): Promise<void> {
    this.versions = await LinkVersions.load(this.control, this.link, [route]);
    await this.target.prepare([route], signal);
  }

  /** The queues to watch, each with what its table has seen. Throws `target` when the target has lost its position. */
  watched(): readonly WatchedQueue[] {
    return this.live.map((route) => ({ queue: route, snapshot: this.#snapshotOf(route) }));
  }

  /** What a look of this link looks at. */
  lookedAt(): LookedAt {
    const receiver = this.versions === null ? null : this.link.source;
    return { target: this.link.target, watched: this.watched(), receiver };
  }

  #snapshotOf(route: Route): string {
    const snapshot = this.position.tables.get(route.id)?.snapshot ?? this.position.snapshot;
    if (snapshot !== null) return snapshot;
    const table = showTable(route.sourceTable);
    throw new PgrepError(
      'target',
      `Node ${this.link.target} does not know how far ${table} of ${this.link.source} has come; it may have been restored or emptied.`,
      {
        hint: `Copy the table again: pgrep copy ${table} --from ${this.link.source} --to ${this.link.target} --restart`,
      },
    );
  }

  /**
   * Notices a source that is not the one the position was taken in. Another database: throws `sourceReplaced`.
   * A promoted one: everything that is still queued is sent again, which is harmless, and comparing both sides is advised. After a crash too,
   * since transaction ids may have been given out a second time. True: the position was set back, what was looked at is not all.
   */
  checkOrigin(logger: Logger, currentXmax: bigint): boolean {
    const { origin, snapshot } = this.position;
    if (origin === null || snapshot === null) return false;
    const change = compareOrigins(origin, this.origin);
    if (change === 'replaced') throw replaced(this.link, origin, this.origin);
    const rewound = BigInt(snapshot.split(':')[1] ?? '0') > currentXmax;
    if (change === 'same' && !rewound && !this.#crashed) return false;
    this.#resend = true;
    const fields = { link: showLink(this.link), before: origin, now: this.origin };
    if (change === 'same' && !rewound) {
      logger.info(fields, 'the source was restarted after a crash: all that is still queued is sent again');
      return true;
    }
    logger.warn(
      fields,
      'the source was promoted or set back: all that is still queued is sent again; compare both sides when the link has caught up',
    );
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeLink(this.#opened);
  }
}

/** A position that has seen nothing. */
const everythingUnseen = '1:1:';

function replaced(link: Link, before: SourceOrigin, now: SourceOrigin): PgrepError {
  return new PgrepError(
    'sourceReplaced',
    `Node ${link.source} is another database than the one that ${link.target} was fed from: system ${now.systemIdentifier}, database ${now.database}; it was system ${before.systemIdentifier}, database ${before.database}. Positions of the old one mean nothing here.`,
    {
      hint: `If this is intended, copy the tables again: pgrep copy TABLE --from ${link.source} --to ${link.target} --restart. If not, mend nodes.${link.source}.postgres in the configuration.`,
    },
  );
}
