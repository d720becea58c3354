import type { TableName } from '../../core/route.ts';
import { showTable } from '../../core/route.ts';
import type { Examination } from './examination.ts';

export type FindingLevel = 'ok' | 'warning' | 'error';

/** One thing that a check found at one node, or that it found nothing there (`ok`). */
export interface Finding {
  readonly level: FindingLevel;
  /** The check's name; kept stable. */
  readonly check: string;
  readonly node: string;
  /** `schema.name`; null: not about one table. */
  readonly table: string | null;
  /** What is so, and what follows from it. */
  readonly message: string;
  /** What to type; null for `ok`. */
  readonly advice: string | null;
}

/** A finding before it knows its check. */
export type Found = Omit<Finding, 'check' | 'level' | 'table'> & {
  readonly level: 'warning' | 'error';
  readonly table: TableName | null;
  readonly advice: string;
};

/** One kind of thing that can be wrong. */
export interface Check {
  readonly name: string;
  /** What is so where nothing is found. */
  readonly fine: string;
  run(examination: Examination): Promise<readonly Found[]>;
}

/** A finding as it is shown. */
export function asFinding(check: string, { level, node, table, message, advice }: Found): Finding {
  return { level, check, node, table: table === null ? null : showTable(table), message, advice };
}
