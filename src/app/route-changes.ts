import type { TwoWay } from '../core/route.ts';
import { literal } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { serverLife } from '../db/server-life.ts';

/** Makes running daemons see that routes have changed: at once where they listen, within a second otherwise. */
export async function announceRoutes(session: Session): Promise<void> {
  await session.query("select pg_catalog.nextval('pgrep.generation'), pg_catalog.pg_notify('pgrep', '')");
}

/** What a route says, as it is stored. */
export interface StoredRoute {
  readonly tableId: string;
  readonly target: string;
  readonly targetKind: 'postgres' | 'elasticsearch';
  readonly targetSchema: string;
  readonly targetName: string;
  readonly columns: readonly { readonly source: string; readonly target: string }[];
  readonly filter: string | null;
  /** Null: one-way. */
  readonly twoWay: TwoWay | null;
}

/** What `pgrep.route.options` says of a two-way route, as JSON; `{}` for a one-way route. */
export function twoWayOptions(twoWay: TwoWay | null): string {
  return JSON.stringify(optionsOf(twoWay));
}

function optionsOf(twoWay: TwoWay | null): object {
  if (twoWay === null) return {};
  const { policy, function: name, forward } = twoWay;
  return {
    twoWay: true,
    policy,
    ...(name === null ? {} : { function: name }),
    ...(forward ? { forward } : {}),
  };
}

/** Makes a route two-way, or gives it another policy. Its rows need not be copied again. */
export async function changeTwoWay(session: Session, routeId: string, twoWay: TwoWay): Promise<void> {
  await session.query(changeTwoWaySql(routeId, twoWay));
}

/** The statement of `changeTwoWay`. */
export function changeTwoWaySql(routeId: string, twoWay: TwoWay): string {
  return `update pgrep.route set sweep = false, options = (options - array['function', 'forward']) || ${literal(twoWayOptions(twoWay))}::jsonb where route_id = ${routeId}`;
}

/** Adds a route in state `copying`. */
export async function insertRoute(session: Session, route: StoredRoute, sweep: boolean): Promise<void> {
  await session.query(insertRouteSql(route, sweep));
}

/** The statement of `insertRoute`. */
export function insertRouteSql(route: StoredRoute, sweep: boolean): string {
  const { tableId, target, targetKind, targetSchema, targetName } = route;
  const options = JSON.stringify({ copyAnew: true, ...optionsOf(route.twoWay) });
  const names = [target, targetKind, targetSchema, targetName].map(literal).join(', ');
  return `insert into pgrep.route (table_id, target, target_kind, target_nsp, target_table, columns, filter, state, sweep, options)
values (${tableId}, ${names}, ${columnsSql(route)}, ${filterSql(route)}, 'copying', ${sweep}, ${literal(options)})`;
}

/** Changes columns and filter of a route; its rows have to be copied again, and what it no longer holds deleted. */
export async function changeRoute(session: Session, routeId: string, route: StoredRoute): Promise<void> {
  await session.query(changeRouteSql(routeId, route));
}

/** The statement of `changeRoute`. */
export function changeRouteSql(routeId: string, route: StoredRoute): string {
  return `update pgrep.route set columns = ${columnsSql(route)}, filter = ${filterSql(route)}, state = 'copying', sweep = true, joined = false, options = options || '{"copyAnew": true}' where route_id = ${routeId}`;
}

function columnsSql({ columns }: StoredRoute): string {
  return literal(JSON.stringify(columns));
}

function filterSql({ filter }: StoredRoute): string {
  return filter === null ? 'null' : literal(filter);
}

/**
 * Takes a route out of the batches until all its rows have been copied again and, if it is one-way, what it does not hold was
 * deleted. On two-way routes versions decide, and what only the target has is its own.
 */
export async function restartRoute(session: Session, routeId: string): Promise<void> {
  await session.query(
    `update pgrep.route set state = 'copying', sweep = not options @> '{"twoWay": true}', joined = false, options = options || '{"copyAnew": true}' where route_id = $1`,
    [routeId],
  );
}

/**
 * True until the copy that a change of the route calls for has begun: a position that the table has from before counts for
 * nothing. Kept with the route, so that no crash between the change and the copy lets the old position pass for the new one.
 */
export async function isToCopyAnew(session: Session, routeId: string): Promise<boolean> {
  const { rows } = await session.query(
    `select r.options ? 'copyAnew' as anew from pgrep.route r where r.route_id = $1`,
    [routeId],
  );
  return rows[0]?.['anew'] === 't';
}

/**
 * The table's position has begun; from now on an interrupted copy goes on from there. On disk when this returns, and with it every
 * transaction that the position has seen: a crash of the source cannot give their ids out again.
 */
export async function copyBegun(
  session: Session,
  route: { readonly id: string; readonly target: string },
): Promise<void> {
  await session.script(`begin;
set local synchronous_commit = on;
update pgrep.route set options = options - 'copyAnew' where route_id = ${route.id};
insert into pgrep.link_state as l (target, confirmed_in) values (${literal(route.target)}, ${serverLife})
on conflict (target) do update set confirmed_in = coalesce(l.confirmed_in, excluded.confirmed_in);
commit`);
}

/** The table is equal up to its own position: from now on it is in the link's batches. */
export async function makeLive(session: Session, routeId: string): Promise<void> {
  await session.query(`update pgrep.route set state = 'live', sweep = false where route_id = $1`, [routeId]);
}
