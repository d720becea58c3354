import { failureKind, sqlState } from '../../db/sqlstate.ts';
import type { TargetConnection } from './connection.ts';

/** What the target said to statements that it refused for their rows. */
export interface RowError {
  readonly code: string;
  readonly message: string;
}

/** Runs statements under a savepoint. Null: they hold. Throws what is not the rows' fault. */
export async function attempt(connection: TargetConnection, sql: string): Promise<RowError | null> {
  try {
    await connection.script(
      `savepoint pgrep_part;\n${sql};\nset constraints all immediate;\nrelease savepoint pgrep_part`,
    );
    return null;
  } catch (error) {
    if (failureKind(error) !== 'row') throw connection.failure(error);
    await connection.script('rollback to savepoint pgrep_part; release savepoint pgrep_part');
    return { code: sqlState(error), message: error instanceof Error ? error.message : String(error) };
  }
}
