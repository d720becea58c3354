import { PgrepError } from '../core/error.ts';
import { heldLeases } from '../db/lease.ts';
import type { Row } from '../db/session.ts';
import { linkLag, type LinkLag } from './link-lag.ts';
import type { App } from './open.ts';
import type { LinkState, LinkStatus, StatusResult } from './results.ts';
import { openSources, type Source } from './sources.ts';

/** How every link stands. A node that does not answer makes its links' lag unknown, not the command fail. */
export async function status(app: App, signal: AbortSignal): Promise<StatusResult> {
  const { sources, unreachable } = await openSources(app);
  const links: LinkStatus[] = [];
  for (const source of sources) {
    signal.throwIfAborted();
    links.push(...(await sourceStatus(app, source)));
  }
  return {
    links: links.sort((one, other) => one.source.localeCompare(other.source)),
    unreachable: unreachable.map(({ node }) => node),
  };
}

async function sourceStatus(app: App, source: Source): Promise<readonly LinkStatus[]> {
  const targets = [...new Set(source.routes.map((route) => route.target))].sort();
  const leases = await heldLeases(source.session, targets);
  const states = await readStates(source);
  const links: LinkStatus[] = [];
  for (const target of targets)
    links.push(await linkStatus(app, source, { target, served: leases.has(target), row: states.get(target) ?? {} }));
  return links;
}

async function linkStatus(
  app: App,
  source: Source,
  link: { target: string; served: boolean; row: Row },
): Promise<LinkStatus> {
  const lag = await lagOrUnknown(app, source, link.target);
  const routes = source.routes.filter((route) => route.target === link.target);
  const copying = routes.filter((route) => route.state === 'copying').length;
  const { row } = link;
  return {
    source: source.node,
    target: link.target,
    state: stateOf(link.served, row['state'], copying),
    lagSeconds: lag === null ? null : Math.round(lag.seconds * 1000) / 1000,
    lagKeys: lag?.keys ?? null,
    rate: link.served ? Math.round(Number(row['rate'] ?? 0)) : 0,
    held: Number(row['held'] ?? 0),
    tables: routes.length,
    copying,
    catchingUp: row['catching_up'] === 't',
    lastError: typeof row['last_error'] === 'string' ? row['last_error'] : null,
    appliedAt: lag?.appliedAt ?? null,
  };
}

/** What is shown of a link: without a daemon its last words count for nothing. */
function stateOf(served: boolean, reported: unknown, copying: number): LinkState {
  if (!served) return 'no daemon';
  if (reported === 'retrying' || reported === 'stopped') return reported;
  return copying > 0 ? 'copying' : 'running';
}

async function lagOrUnknown(app: App, source: Source, target: string): Promise<LinkLag | null> {
  try {
    return await linkLag(app, source, target);
  } catch (error) {
    if (error instanceof PgrepError && (error.code === 'unreachable' || error.code === 'privilege')) return null;
    throw error;
  }
}

async function readStates(source: Source): Promise<ReadonlyMap<string, Row>> {
  const { rows } = await source.session.query(
    `select r.target, l.state, l.last_error, l.rate, l.catching_up,
       (select pg_catalog.count(*) from pgrep.sync_err_rec e where e.dst_server = r.target) as held
     from (select distinct target from pgrep.route) r left join pgrep.link_state l on l.target = r.target`,
  );
  return new Map(rows.map((row) => [String(row['target']), row]));
}
