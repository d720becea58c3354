import type { Link, Route } from '../core/route.ts';
import { ident } from '../db/quote.ts';
import { loadRoutes } from '../db/route-store.ts';
import type { Session } from '../db/session.ts';
import { readerSettings } from '../queue/batch-reader.ts';
import { readOrigin } from '../queue/origin.ts';
import { peekSql } from '../queue/peek.ts';
import { queuedKeys, routeRows } from '../queue/queue-table.ts';
import { crashedSql } from '../db/server-life.ts';
import { unseenCondition } from '../queue/unseen.ts';
import type { SourceOrigin } from '../targets/target.ts';

/** A link's routes as they were at one moment. */
export interface LoadedRoutes {
  /** The generation that the routes are of, or an earlier one. */
  readonly generation: string;
  /** True when the source's server has crashed since the link confirmed a position. */
  readonly crashed: boolean;
  readonly routes: readonly Route[];
}

/** A link's two sessions at its source, with what can be read there before the target answers. */
export class SourceSide {
  readonly link: Link;
  /** Reads batches, in read-only snapshots. */
  readonly readSession: Session;
  /** Writes the link's own records. */
  readonly control: Session;
  readonly origin: SourceOrigin;
  #ahead: LoadedRoutes | null = null;

  /** Sets up two sessions that are being opened; when anything fails neither is left open. */
  static async of(link: Link, reading: Promise<Session>, controlling: Promise<Session>): Promise<SourceSide> {
    try {
      const [readSession, control] = await Promise.all([
        withSettings(reading, readerSettings),
        withSettings(controlling, 'set synchronous_commit = off'),
      ]);
      return new SourceSide(link, { readSession, control, origin: await readOrigin(control) });
    } catch (error) {
      for (const opened of await Promise.allSettled([reading, controlling]))
        if (opened.status === 'fulfilled') opened.value.destroy();
      throw error;
    }
  }

  private constructor(link: Link, parts: Pick<SourceSide, 'readSession' | 'control' | 'origin'>) {
    this.link = link;
    this.readSession = parts.readSession;
    this.control = parts.control;
    this.origin = parts.origin;
  }

  /** True when one of the sessions is gone, and with it what was read. */
  get lost(): boolean {
    return this.readSession.lost.aborted || this.control.lost.aborted;
  }

  /**
   * Loads the routes for the next `loadRoutes` already, and plans what their first batch will run, so that the catalogs are in the
   * session's caches. A look notices when routes have changed since.
   */
  async loadAhead(): Promise<void> {
    const ahead = await this.#load();
    const live = ahead.routes.filter((route) => route.state === 'live');
    await this.readSession.script([planLook(this.link, live), ...live.map(planRead)].join(';\n'));
    this.#ahead = ahead;
  }

  async loadRoutes(): Promise<LoadedRoutes> {
    const ahead = this.#ahead;
    this.#ahead = null;
    return ahead ?? (await this.#load());
  }

  /** Whatever runs on the sessions is of no use any more. */
  destroy(): void {
    this.readSession.destroy();
    this.control.destroy();
  }

  async #load(): Promise<LoadedRoutes> {
    const { rows } = await this.control.query(
      `select g.last_value as generation, ${crashedSql('$1')} as crashed from pgrep.generation g`,
      [this.link.target],
    );
    return {
      generation: String(rows[0]?.['generation']),
      crashed: rows[0]?.['crashed'] === 't',
      routes: await loadRoutes(this.control, this.link.source, { target: this.link.target }),
    };
  }
}

function planLook(link: Link, routes: readonly Route[]): string {
  const watched = routes.map((queue) => ({ queue, snapshot: farAhead }));
  const looked = { target: link.target, watched, receiver: null };
  return `explain ${peekSql(looked, 1, ({ snapshot }) => unseenCondition(snapshot, null))}`;
}

function planRead(route: Route): string {
  const on = route.key.map((name) => `r.${ident(name)} = k.${ident(name)}`).join(' and ');
  const columns = route.columns.map((column) => `r.${ident(column.source)}`).join(', ');
  const keys = queuedKeys(route, unseenCondition(farAhead, null));
  return `explain select ${columns} from (${keys}) k left join ${routeRows(route)} r on ${on}`;
}

// Any position will do, but not a condition that the planner knows to be false: then it would not look at the tables.
const farAhead = '1000000000:1000000000:';

async function withSettings(opening: Promise<Session>, settings: string): Promise<Session> {
  const session = await opening;
  await session.script(settings);
  return session;
}
