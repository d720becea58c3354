import { PgrepError } from '../core/error.ts';
import { isMigrated } from '../db/migrate.ts';
import { loadRoutes } from '../db/route-store.ts';
import { addOneWay } from './add-one-way.ts';
import { configuredNode, postgresNode, type App } from './open.ts';
import type { AddTableOptions, AddTableResult, CopyProgress } from './results.ts';
import { addTwoWay } from './two-way/add-two-way.ts';

/**
 * Replicates a table: checks everything first, then installs capture, stores the routes and copies the rows. Repeating it is
 * harmless: what is there stays, what was interrupted goes on, changed options change the route. What the checks refuse
 * leaves every node as it was. Routes that are two-way already stay so, whether `twoWay` is given or not.
 */
export async function addTable(
  app: App,
  options: AddTableOptions,
  progress: CopyProgress,
  signal: AbortSignal,
): Promise<AddTableResult> {
  const from = options.from ?? app.config.home;
  checkNodes(app, from, options.to);
  const twoWay = await twoWayTargets(app, from, options);
  const oneWay = options.to.filter((node) => !twoWay.includes(node));
  if (oneWay.length > 0) refuseTwoWayOptions(options);
  // Two-way routes are planned before they are begun; what is wrong with the others is to be found before that, too.
  const mixed = twoWay.length > 0 && oneWay.length > 0;
  if (mixed) await addOneWay(app, { ...options, from, to: oneWay, dryRun: true }, progress, signal);
  const results: AddTableResult[] = [];
  if (twoWay.length > 0) results.push(await addTwoWay(app, { ...options, from, to: twoWay }, progress, signal));
  if (oneWay.length > 0) results.push(await addOneWay(app, { ...options, from, to: oneWay }, progress, signal));
  return {
    routes: results.flatMap(({ routes }) => routes),
    initialised: [...new Set(results.flatMap(({ initialised }) => initialised))],
    sequences: results.flatMap(({ sequences }) => sequences),
    sql: results.flatMap(({ sql }) => sql),
    warnings: [...new Set(results.flatMap(({ warnings }) => warnings))],
  };
}

async function twoWayTargets(app: App, from: string, options: AddTableOptions): Promise<readonly string[]> {
  if (options.twoWay === true) return options.to;
  const session = await app.session(from);
  if (!(await isMigrated(session))) return [];
  const { schema, name } = options.table;
  const routes = await loadRoutes(session, from, { schema, name });
  const there = routes.filter((route) => route.twoWay !== null).map((route) => route.target);
  return options.to.filter((node) => there.includes(node));
}

function refuseTwoWayOptions(options: AddTableOptions): void {
  const given = [
    options.policy === undefined ? null : '--policy',
    options.policyFunction === undefined ? null : '--policy-function',
    options.merge === true ? '--merge' : null,
    options.forward === true ? '--forward' : null,
    options.sequences === undefined ? null : '--sequences',
  ].find((option) => option !== null);
  if (given === undefined) return;
  throw new PgrepError('usage', `${given} is for two-way routes, where a row may be written at both ends.`, {
    hint: `Add --two-way, or leave ${given} out.`,
  });
}

function checkNodes(app: App, from: string, to: readonly string[]): void {
  postgresNode(app.config, from);
  for (const name of to) {
    configuredNode(app.config, name);
    if (name !== from) continue;
    throw new PgrepError('usage', `Node ${name} cannot be its own target.`, {
      hint: 'Name another node with --to, or another source with --from.',
    });
  }
}
