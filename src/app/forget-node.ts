import { PgrepError } from '../core/error.ts';
import { forgetAt, forgetSql } from './forget/forget-at.ts';
import { checkConnected, findSurvivors } from './forget/survivors.ts';
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
  const nodes: ForgetNodeResult['nodes'][number][] = [];
  for (const survivor of survivors) {
    signal.throwIfAborted();
    if (dryRun) sql.push(...(await forgetSql(survivor, lost)).map((text) => ({ node: survivor.node, text })));
    else nodes.push(await forgetAt(app, survivor, lost, signal));
  }
  const warnings = unreachable.map((node) => `Node ${node} does not answer: repeat the command when it is back.`);
  return { node: lost, nodes, unreachable, sql, warnings };
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
