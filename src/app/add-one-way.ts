import { installCapture, planCapture } from '../capture/install-capture.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import type { Session } from '../db/session.ts';
import { describeTable, type TableDescription } from '../db/table-description.ts';
import { withCopyLease } from './copy-lease.ts';
import { initMissing, readSelf } from './init.ts';
import type { App } from './open.ts';
import { checkFilter } from './plan-route.ts';
import {
  planTargetRoute,
  prepareIndex,
  refuseFilledTarget,
  showPlannedTarget,
  type PlannedRoute,
} from './plan-target.ts';
import type { AddTableOptions, AddTableResult, CopyProgress, PlannedSql } from './results.ts';
import { announceRoutes, changeRoute, insertRoute, makeLive } from './route-changes.ts';
import { beginPosition, copyUnderLease } from './run-copy.ts';
import { storedRoute } from './stored-route.ts';

/** Adds one-way routes; see `addTable`. */
export async function addOneWay(
  app: App,
  options: AddTableOptions,
  progress: CopyProgress,
  signal: AbortSignal,
): Promise<AddTableResult> {
  const from = options.from ?? app.config.home;
  const session = await app.session(from);
  const description = await describeTable(session, options.table);
  const nodes = [from, ...options.to];
  const missing = await initMissing(app, nodes, true);
  if (options.where !== undefined) await checkFilter(session, description, options.where);
  const nodeId = missing.nodeIds.get(from) ?? (await ownId(session, from));
  const capture = await planCapture(session, { table: options.table, ...keyOption(options), nodeId });
  const planned: PlannedRoute[] = [];
  for (const to of options.to) {
    const input = {
      from,
      to,
      description,
      key: capture.key,
      tableId: capture.tableId,
      options,
      packed: capture.packed,
    };
    planned.push(await planTargetRoute(app, input, signal));
  }
  for (const each of planned) await refuseFilledTarget(app, each, options);
  if (options.dryRun)
    return dryRun({ init: missing.sql, capture: capture.sql, planned, from, description, sweep: options.replace });
  const { initialised } = await initMissing(app, nodes, false);
  for (const each of planned) await prepareIndex(app, each, signal);
  const routes = await carryOut({ app, session, from, options, planned }, progress, signal);
  return { routes, initialised, sequences: [], sql: [], warnings: warningsFor(description) };
}

interface AddPlan {
  readonly app: App;
  readonly session: Session;
  readonly from: string;
  readonly options: AddTableOptions;
  readonly planned: readonly PlannedRoute[];
}

async function carryOut(plan: AddPlan, progress: CopyProgress, signal: AbortSignal): Promise<AddTableResult['routes']> {
  const { app, session, from, options } = plan;
  const nodeId = await ownId(session, from);
  await using own = await app.ownSession(from);
  const capture = await installCapture(own, { table: options.table, ...keyOption(options), nodeId }, signal);
  const results: AddTableResult['routes'][number][] = [];
  for (const planned of plan.planned) {
    const { target } = planned.stored;
    const place = { source: from, target, tableId: capture.tableId, table: options.table };
    const added = { ...planned, stored: { ...planned.stored, tableId: capture.tableId } };
    // Held from before the route is there, or a daemon would begin its copy before this command does.
    const settled = planned.existing?.state === 'live' && !planned.differs;
    const work = async (): Promise<AddTableResult['routes'][number]> => await addRoute(plan, added, progress, signal);
    results.push(await (settled ? work() : withCopyLease(app, place, work)));
  }
  return results;
}

async function addRoute(
  plan: AddPlan,
  planned: PlannedRoute,
  progress: CopyProgress,
  signal: AbortSignal,
): Promise<AddTableResult['routes'][number]> {
  const change = await storeRoute(plan.session, planned, plan.options);
  const place = { source: plan.from, target: planned.stored.target, table: plan.options.table };
  const route = await storedRoute(plan.app, place);
  const copiedRows = route.state === 'live' ? 0 : await fill(plan, { route, planned, progress }, signal);
  return { route: await storedRoute(plan.app, place), change, copiedRows };
}

async function fill(
  { app, session, options }: AddPlan,
  work: { route: Route; planned: PlannedRoute; progress: CopyProgress },
  signal: AbortSignal,
): Promise<number> {
  const { route, planned, progress } = work;
  const interrupted = planned.existing?.state === 'copying';
  if (options.copy || interrupted) return await copyUnderLease(app, route, progress, signal);
  await beginPosition(app, route, true);
  await makeLive(session, route.id);
  await announceRoutes(session);
  return 0;
}

async function storeRoute(
  session: Session,
  planned: PlannedRoute,
  options: AddTableOptions,
): Promise<'added' | 'changed' | 'unchanged'> {
  if (planned.existing === null) await insertRoute(session, planned.stored, options.replace);
  else if (planned.differs) await changeRoute(session, planned.existing.id, planned.stored);
  else return 'unchanged';
  await announceRoutes(session);
  return planned.existing === null ? 'added' : 'changed';
}

function keyOption(options: AddTableOptions): { key?: readonly string[] } {
  return options.key === undefined ? {} : { key: options.key };
}

/** The node id of a node that was initialised. */
export async function ownId(session: Session, node: string): Promise<number> {
  const self = await readSelf(session);
  if (self !== null) return self.nodeId;
  throw new PgrepError('bug', `Node ${node} has no node id after init.`);
}

function dryRun(plan: {
  init: readonly PlannedSql[];
  capture: readonly string[];
  planned: readonly PlannedRoute[];
  from: string;
  description: TableDescription;
  sweep: boolean;
}): AddTableResult {
  const sql = [
    ...plan.init,
    ...plan.capture.map((text) => ({ node: plan.from, text })),
    ...plan.planned.flatMap((planned) => showPlannedTarget(planned, plan)),
  ];
  return { routes: [], initialised: [], sequences: [], sql, warnings: warningsFor(plan.description) };
}

/** What the user should know of a table that is replicated. */
export function warningsFor(description: TableDescription): readonly string[] {
  if (description.inheritedBy.length === 0) return [];
  const children = description.inheritedBy.map(showTable).join(', ');
  return [
    `${showTable(description.table)} has inheriting tables (${children}): a change made to one of them directly is not captured. Add those tables as well.`,
  ];
}
