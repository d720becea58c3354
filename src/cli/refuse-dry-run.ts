import { PgrepError } from '../core/error.ts';
import type { Context } from './command.ts';

/** Ends a command that has nothing to show in a dry run: doing the work after all would be worse than refusing. */
export function refuseDryRun(context: Context, command: string, hint: string): void {
  if (context.dryRun) throw new PgrepError('usage', `${command} has no --dry-run.`, { hint });
}
