import { installCapture, planCapture } from '../capture/install-capture.ts';
import { beginTablePosition } from '../copy/table-position.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import { loadRoutes } from '../db/route-store.ts';
import type { Session } from '../db/session.ts';
import { describeTable, type TableDescription } from '../db/table-description.ts';
import { initMissing, readSelf } from './init.ts';
import { configuredNode, postgresNode, type App } from './open.ts';
import { checkFilter } from './plan-route.ts';
import { planTargetRoute, refuseFilledTarget, showPlannedTarget, type PlannedRoute } from './plan-target.ts';
import { positionStore } from './position-store.ts';
import type { AddTableOptions, AddTableResult, CopyProgress, PlannedSql } from './results.ts';
import { announceRoutes, changeRoute, insertRoute, makeLive, type StoredRoute } from './route-changes.ts';
import { runCopy } from './run-copy.ts';

/**
 * Replicates a table: checks everything first, then installs capture, stores the routes and copies the rows. Repeating it is
 * harmless: what is there stays, what was interrupted goes on, changed options change the route.
 */
export async function addTable(app: App, options: AddTableOptions, progress: CopyProgress, signal: AbortSignal): Promise<AddTableResult> {
  const from = options.from ?? app.config.home;
  checkNodes(app, from, options.to);
  const session = await app.session(from);
  const description = await describeTable(session, options.table);
  const init = await initMissing(app, [from, ...options.to], options.dryRun);
  if (options.where !== undefined) await checkFilter(session, description, options.where);
  const capture = await planCapture(session, { table: options.table, ...keyOption(options), nodeId: await nodeIdOf(session, init.initialised.includes(from) && options.dryRun) });
  const planned: PlannedRoute[] = [];
  for (const to of options.to) {
    planned.push(await planTargetRoute(app, { from, to, description, key: capture.key, tableId: capture.tableId, options, packed: capture.packed }, signal));
  }
  if (options.dryRun) return dryRun({ init: init.sql, capture: capture.sql, planned, from, description });
  for (const each of planned) await refuseFilledTarget(app, each, options);
  const plan = { app, session, from, options, planned, description };
  const routes = await carryOut(plan, progress, signal);
  return { routes, initialised: init.initialised, sql: [], warnings: warningsFor(description) };
}

interface AddPlan {
  readonly app: App;
  readonly session: Session;
  readonly from: string;
  readonly options: AddTableOptions;
  readonly planned: readonly PlannedRoute[];
  readonly description: TableDescription;
}

async function carryOut(plan: AddPlan, progress: CopyProgress, signal: AbortSignal): Promise<AddTableResult['routes']> {
  const { app, session, options } = plan;
  const self = await readSelf(session);
  if (self === null) throw new PgrepError('bug', `Node ${plan.from} has no node id after init.`);
  const capture = await installCapture(session, { table: options.table, ...keyOption(options), nodeId: self.nodeId }, signal);
  const results: AddTableResult['routes'][number][] = [];
  for (const planned of plan.planned) {
    const change = await storeRoute(session, { ...planned.stored, tableId: capture.tableId }, planned, options);
    const route = await loadRoute(session, plan.from, options, planned.stored.target);
    const copiedRows = route.state === 'live' ? 0 : await fill(app, session, { route, options, planned, progress }, signal);
    results.push({ route: await loadRoute(session, plan.from, options, planned.stored.target), change, copiedRows });
  }
  return results;
}

async function fill(
  app: App,
  session: Session,
  work: { route: Route; options: AddTableOptions; planned: PlannedRoute; progress: CopyProgress },
  signal: AbortSignal,
): Promise<number> {
  const { route, options, planned, progress } = work;
  if (options.copy || planned.existing?.state === 'copying') return runCopy(app, route, progress, signal);
  const { rows } = await session.query('select pg_catalog.pg_current_snapshot()::text as snapshot');
  await beginTablePosition(await positionStore(app, route), { routeId: route.id, snapshot: String(rows[0]?.['snapshot']), copied: true });
  await makeLive(session, route.id);
  await announceRoutes(session);
  return 0;
}

async function storeRoute(session: Session, stored: StoredRoute, planned: PlannedRoute, options: AddTableOptions): Promise<'added' | 'changed' | 'unchanged'> {
  if (planned.existing === null) {
    await insertRoute(session, stored, options.replace);
    await announceRoutes(session);
    return 'added';
  }
  if (!planned.differs) return 'unchanged';
  // Out of the batches before its position begins anew.
  await changeRoute(session, planned.existing.id, stored);
  await announceRoutes(session);
  return 'changed';
}

async function loadRoute(session: Session, from: string, options: AddTableOptions, target: string): Promise<Route> {
  const [route] = await loadRoutes(session, from, { target, schema: options.table.schema, name: options.table.name });
  if (route === undefined) throw new PgrepError('no', `The route of ${showTable(options.table)} to ${target} was removed meanwhile.`, { hint: 'Run the command again.' });
  return route;
}

function checkNodes(app: App, from: string, to: readonly string[]): void {
  postgresNode(app.config, from);
  for (const name of to) {
    configuredNode(app.config, name);
    if (name !== from) continue;
    throw new PgrepError('usage', `Node ${name} cannot be its own target.`, { hint: 'Name another node with --to, or another source with --from.' });
  }
}

function keyOption(options: AddTableOptions): { key?: readonly string[] } {
  return options.key === undefined ? {} : { key: options.key };
}

async function nodeIdOf(session: Session, notYet: boolean): Promise<number> {
  if (notYet) return 1;
  return (await readSelf(session))?.nodeId ?? 1;
}

function dryRun(plan: {
  init: readonly PlannedSql[];
  capture: readonly string[];
  planned: readonly PlannedRoute[];
  from: string;
  description: TableDescription;
}): AddTableResult {
  const sql = [
    ...plan.init,
    ...plan.capture.map((text) => ({ node: plan.from, text })),
    ...plan.planned.flatMap((planned) => showPlannedTarget(planned, plan.from, plan.description)),
  ];
  return { routes: [], initialised: [], sql, warnings: warningsFor(plan.description) };
}

function warningsFor(description: TableDescription): readonly string[] {
  if (description.inheritedBy.length === 0) return [];
  const children = description.inheritedBy.map(showTable).join(', ');
  return [`${showTable(description.table)} has inheriting tables (${children}): a change made to one of them directly is not captured. Add those tables as well.`];
}

