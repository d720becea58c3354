import { PgrepError } from '../../src/core/error.ts';
import type { Figures, Trial } from '../trial.ts';
import { bulkRows } from './bulk-statement.ts';

/** All rows of the source into an empty index. */
export async function indexCopy(trial: Trial): Promise<Figures> {
  const figures = await trial.attached.copy?.();
  const copyMs = figures?.['copyMs'];
  if (copyMs === undefined) throw new PgrepError('bug', `${trial.contender.name} cannot copy`);
  const rows = trial.scaled(bulkRows);
  return { rows, ...figures, rowsPerSecond: rows / (copyMs / 1000) };
}
