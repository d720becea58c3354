import { replicatorName } from '../core/replicator-name.ts';
import { literal } from '../db/quote.ts';
import { captureFunctions } from './capture-names.ts';
import { queueKeysSql, queueMarkerSql, queueOldKeySql, queueOneKeySql, type QueuedKeys } from './queue-keys-sql.ts';
import type { QueueLayout } from './queue-layout.ts';

/** One trigger function: `name` with schema, `body` as `pg_proc.prosrc` shows it. */
export interface CaptureFunction {
  readonly name: string;
  readonly body: string;
}

/**
 * The trigger functions of a table. Each is `security definer`, so that whoever may write the table is captured without any
 * right in `pgrep`; names and operators are qualified, so that no `search_path` can bend them; columns carry an alias, so that
 * no column name can be taken for a variable.
 */
export function triggerFunctions(options: {
  readonly tableId: string;
  readonly layout: QueueLayout;
  readonly partitioned: boolean;
}): readonly CaptureFunction[] {
  const { tableId, layout, partitioned } = options;
  const names = captureFunctions(tableId);
  // Qualified by the function's name: the table may have a column of this name.
  const inserted = `${names.keys.replace('pgrep.', '')}.tg_op operator(pg_catalog.=) 'INSERT'`;
  const oldKeys = partitioned
    ? keysOf({ tableId, layout, from: bothImages(layout), inserted: 'false' })
    : `  ${queueOldKeySql(tableId, layout)};`;
  return [
    { name: names.keys, body: wholeBody(keysOf({ tableId, layout, from: 'changed', inserted })) },
    { name: names.oldKeys, body: wholeBody(oldKeys) },
    { name: names.truncate, body: wholeBody(`  ${queueMarkerSql(tableId)};`) },
  ];
}

/** Statements that make the functions, or bring them to this version's text. */
export function functionSql(functions: readonly CaptureFunction[]): readonly string[] {
  return functions.flatMap(({ name, body }) => [
    `create or replace function ${name}() returns trigger language plpgsql security definer as $pgrep$${body}$pgrep$`,
    `revoke execute on function ${name}() from public`,
  ]);
}

// The replicator's own changes are not captured. Told apart here and not by WHEN: PostgreSQL parses a trigger's condition anew for
// every statement, which took 5 µs of a single-row insert's 19 µs.
// Nothing captured: nothing to say (a notification would also assign a transaction id). And a transaction that has notified
// cannot be prepared; where transactions can be prepared, the replayer's poll has to do.
function wholeBody(capture: string): string {
  return `
begin
  if pg_catalog.current_setting('application_name') operator(pg_catalog.=) ${literal(replicatorName)} then
    return null;
  end if;
${capture}
  if found and pg_catalog.pg_sequence_last_value('pgrep.doorbell') operator(pg_catalog.>) pg_catalog.date_part('epoch', pg_catalog.now())
    and pg_catalog.current_setting('max_prepared_transactions') operator(pg_catalog.=) '0' then
    perform pg_catalog.pg_notify('pgrep', '');
  end if;
  return null;
end
`;
}

/** For a statement trigger: the keys of all rows of the from-item `changed`; nothing when it has none. */
function keysOf(keys: QueuedKeys): string {
  if (!keys.layout.packed) return `  ${queueKeysSql(keys)};`;
  return `  if exists (select from ${keys.from} c offset 1) then
    ${queueKeysSql(keys)};
  else
    ${queueOneKeySql(keys)};
  end if;`;
}

/** A row that moves between partitions fires no update row trigger, so both images come from the transition tables. */
function bothImages(layout: QueueLayout): string {
  const columns = layout.columns.map((column) => `r.${column.source}`).join(', ');
  return `(select ${columns} from changed r union all select ${columns} from replaced r)`;
}
