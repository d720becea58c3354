import { pipeline } from 'node:stream/promises';
import type { Batch, ChangedTable } from '../target.ts';
import { copyLiveSql, copyOutSql, keyOf, liveName, stageName } from './apply-sql.ts';
import type { TargetConnection } from './connection.ts';
import type { TargetTable } from './target-table.ts';
import { versionStageColumns } from './two-way/read-versions-sql.ts';

/** One table of a batch with what it meets at the target. */
export interface StagedTable {
  readonly table: TargetTable;
  readonly changed: ChangedTable;
}

/**
 * Streams a table's part of the batch from the source's COPY into the stage; bytes pass through unread and memory stays
 * bounded by the streams' buffers.
 */
export async function fillStage(connection: TargetConnection, batch: Batch, staged: StagedTable): Promise<void> {
  const { table, changed } = staged;
  const versions = changed.versions === undefined ? [] : versionStageColumns;
  const columns = [...table.columns.map((column) => column.stage), ...versions].join(', ');
  await copyThrough(connection, batch, {
    from: copyOutSql(table, changed),
    byHash: changed.byHash,
    into: `copy ${stageName(table)} (live, ${columns}) from stdin (format binary)`,
  });
  if (!changed.sweep) return;
  const key = keyOf(table)
    .map((column) => column.stage)
    .join(', ');
  await copyThrough(connection, batch, {
    from: copyLiveSql(table, changed),
    into: `copy ${liveName(table)} (${key}) from stdin (format binary)`,
    byHash: true,
  });
}

async function copyThrough(
  connection: TargetConnection,
  batch: Batch,
  copy: { from: string; into: string; byHash: boolean },
): Promise<void> {
  const source = batch.copyOut(copy.from, copy.byHash);
  // A source error must not wait for the target to answer: the pipeline is built as soon as the target is ready.
  source.on('error', () => undefined);
  const target = await connection.copyIn(copy.into).catch((error: unknown) => {
    source.destroy();
    throw error;
  });
  await pipeline(source, target);
}
