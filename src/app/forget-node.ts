import { PgrepError } from '../core/error.ts';
import { selfSql } from '../versions/version-sql.ts';
import { forgetAt, forgetSql, settleForgotten, type Forgotten } from './forget/forget-at.ts';
import { checkConnected, findSurvivors, type Survivor } from './forget/survivors.ts';
import type { App } from './open.ts';
import type { ForgetNodeOptions, ForgetNodeResult, PlannedSql } from './results.ts';

/**
 * Forgets a node that is lost for good: the others exchange what only some of them had received from it, then nothing is kept for it
 * any more. To be repeated while a survivor does not answer; harmless where it was done. Throws `route` when the node answers, or
 * when survivors are linked through it only, unless `force` is given.
 */
export async function forgetNode(app: App, options: ForgetNodeOptions, signal: AbortSignal): Promise<ForgetNodeResult> {
  const { node: lost, force, dryRun } = options;
  if (lost === app.config.home && !force) throw isHome(lost);
  if (!force && (await answers(app, lost))) throw alive(lost);
  const { survivors, unreachable } = await findSurvivors(app, lost);
  if (!force) checkConnected(survivors, lost);
  const sql: PlannedSql[] = [];
  const done: (Forgotten & { readonly survivor: Survivor })[] = [];
  const again = survivors.some(({ lostId, settled }) => lostId !== null && !settled);
  for (const survivor of survivors) {
    signal.throwIfAborted();
    if (dryRun) sql.push(...(await forgetSql(survivor, lost)).map((text) => ({ node: survivor.node, text })));
    else done.push({ survivor, ...(await forgetAt(app, { survivor, lost, again }, signal)) });
  }
  if (again && !dryRun && unreachable.length === 0) await settle(done);
  const warnings = unreachable.map((node) => `Node ${node} does not answer: repeat the command when it is back.`);
  return { node: lost, nodes: done.map(({ result }) => result), unreachable, sql, warnings };
}

/** All have forgotten it: each learns where the others queued what they had of it, and so when its versions can go. */
async function settle(done: readonly (Forgotten & { readonly survivor: Survivor })[]): Promise<void> {
  const queued: (readonly [number, string])[] = [];
  for (const { survivor, xid } of done) {
    if (xid === null) continue;
    const { rows } = await survivor.session.query(`select ${selfSql} as id`);
    queued.push([Number(rows[0]?.['id']), xid]);
  }
  for (const { survivor } of done) await settleForgotten(survivor, JSON.stringify(queued));
}

async function answers(app: App, node: string): Promise<boolean> {
  if (app.config.nodes[node]?.kind !== 'postgres') return false;
  try {
    await app.session(node);
    return true;
  } catch (error) {
    if (error instanceof PgrepError && error.code === 'unreachable') return false;
    throw error;
  }
}

function alive(node: string): PgrepError {
  return new PgrepError(
    'route',
    `Node ${node} answers: what it has and did not send yet would be lost, and it would never hear of the others again.`,
    {
      hint: `To take its tables out of replication: pgrep remove-table TABLE --from ${node}. If it is a new database in the place of a lost one, add --force.`,
    },
  );
}

function isHome(node: string): PgrepError {
  return new PgrepError('config', `Node ${node} is "home" of the configuration.`, {
    hint: 'Name another home first, then repeat the command.',
  });
}
