import { failureKind, isSqlState, sqlState } from '../../db/sqlstate.ts';
import type { TargetConnection } from './connection.ts';

/** What the target said to statements that it refused for their rows. */
export interface RowError {
  readonly code: string;
  readonly message: string;
}

/**
 * True when rows may be at fault. Class 42 and 3F000 are a statement's fault, but also a value's: `'gone'::regclass` is 42P01. Then
 * the tables have to be compared with what the statements were built for (`mayBeStatement`). 42501 is a missing privilege.
 */
export function isRowError(error: unknown): boolean {
  return failureKind(error) === 'row' || mayBeStatement(error);
}

/** See `isRowError`. */
export function mayBeStatement(error: unknown): boolean {
  const code = sqlState(error);
  return (isSqlState(code) && code.startsWith('42') && code !== '42501') || code === '3F000';
}

/** Runs statements under a savepoint. Null: they hold. Throws what is not the rows' fault. */
export async function attempt(connection: TargetConnection, sql: string): Promise<RowError | null> {
  try {
    await connection.script(
      `savepoint pgrep_part;\n${sql};\nset constraints all immediate;\nrelease savepoint pgrep_part`,
    );
    return null;
  } catch (error) {
    if (!isRowError(error)) throw connection.failure(error);
    await connection.script('rollback to savepoint pgrep_part; release savepoint pgrep_part');
    return { code: sqlState(error), message: error instanceof Error ? error.message : String(error) };
  }
}
