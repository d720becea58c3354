import { monotonicMs } from '../../../core/timing.ts';
import { foldBusySql, foldMs } from '../../../versions/fold-sql.ts';
import type { TargetConnection } from '../connection.ts';

/** Folds what was changed at the target now and then, so that judging a batch reads few queue rows. */
export class Folding {
  #foldedMs = 0;

  /** In a transaction of its own; to be called before the batch begins. */
  async fold(connection: TargetConnection, tableIds: readonly string[]): Promise<void> {
    const now = monotonicMs();
    if (now - this.#foldedMs < foldMs || tableIds.length === 0) return;
    this.#foldedMs = now;
    await connection.script(foldBusySql(tableIds));
  }
}
