import { PgrepError } from '../core/error.ts';
import type { Logger } from '../core/logger.ts';
import { showLink, showTable, type Link, type Route } from '../core/route.ts';
import { loadRoutes } from '../db/route-store.ts';
import type { Session } from '../db/session.ts';
import { BatchReader, readerSettings } from '../queue/batch-reader.ts';
import { compareOrigins, readOrigin } from '../queue/origin.ts';
import type { LookedAt, WatchedQueue } from '../queue/peek.ts';
import { crashedSql } from '../queue/server-life.ts';
import { LinkVersions } from './exchange.ts';
import type { LinkPosition, SourceOrigin, Target } from '../targets/target.ts';

/** How a link opens what it works with; wired in `src/app/`. */
export interface LinkConnections {
  openSource(): Promise<Session>;
  /** `source` keeps the state of targets that cannot keep it themselves. */
  openTarget(source: Promise<Session>): Promise<Target>;
  /** Whether the target's server accepts connections; cheap enough to be asked many times a second. */
  targetListens(): Promise<boolean>;
}

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
  /** Read with the routes. Before that no fence stands where this epoch is. */
  #position: LinkPosition = { epoch: '-1', snapshot: null, tables: new Map(), origin: null };
  /** True when the source's server has crashed since the link confirmed a position. */
  #crashed = false;
  /** True until a batch has sent again all that is queued: ids of transactions that the position has seen may be new ones. */
  #resend = false;

  static async open(link: Link, connections: LinkConnections): Promise<LinkSession> {
    const opened: (() => PromiseLike<void> | void)[] = [];
    try {
      // All three at once: after an outage the time until changes flow again is that of the slowest, not their sum.
      const controlling = openWith(connections, 'set synchronous_commit = off', opened);
      const [readSession, control, target] = await allOpen([
        openWith(connections, readerSettings, opened),
        controlling,
        openTarget(connections, controlling, opened),
      ]);
      const origin = await readOrigin(control);
      return new LinkSession({ link, readSession, control, target, origin });
    } catch (error) {
      for (const close of opened.reverse()) await close();
      throw error;
    }
  }

  private constructor(parts: Pick<LinkSession, 'link' | 'readSession' | 'control' | 'target' | 'origin'>) {
    this.link = parts.link;
    this.readSession = parts.readSession;
    this.control = parts.control;
    this.target = parts.target;
    this.origin = parts.origin;
    this.reader = new BatchReader(parts.readSession, parts.target.reading);
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
    const { rows } = await this.control.query(
      `select g.last_value as generation, ${crashedSql('$1')} as crashed from pgrep.generation g`,
      [this.link.target],
    );
    this.#crashed = rows[0]?.['crashed'] === 't';
    this.routes = await loadRoutes(this.control, this.link.source, { target: this.link.target });
    this.live = this.routes.filter((route) => route.state === 'live');
    this.versions = await LinkVersions.load(this.control, this.link, this.live);
    this.position = await this.target.position(signal);
    await this.target.prepare(this.live, signal);
    return String(rows[0]?.['generation']);
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
   * A promoted one: everything that is still queued is sent again, which is harmless, and `verify` is advised. After a crash too,
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
    await this.target[Symbol.asyncDispose]();
    // Whatever runs on them is of no use any more.
    this.readSession.destroy();
    this.control.destroy();
  }
}

/** All of them, or the first failure once none is being opened any more: nothing is left behind. */
async function allOpen<Opening extends readonly unknown[]>(opening: {
  readonly [Index in keyof Opening]: Promise<Opening[Index]>;
}): Promise<Opening> {
  await Promise.allSettled(opening);
  return Promise.all(opening);
}

async function openTarget(
  connections: LinkConnections,
  control: Promise<Session>,
  opened: (() => PromiseLike<void> | void)[],
): Promise<Target> {
  const target = await connections.openTarget(control);
  opened.push(() => target[Symbol.asyncDispose]());
  return target;
}

async function openWith(
  connections: LinkConnections,
  settings: string,
  opened: (() => PromiseLike<void> | void)[],
): Promise<Session> {
  const session = await connections.openSource();
  opened.push(() => session.destroy());
  await session.script(settings);
  return session;
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
