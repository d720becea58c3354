import { captureFunctions, queueTable } from './capture-names.ts';
import type { QueueColumn, QueueLayout } from './queue-layout.ts';

/** Keys in one queue row: long enough that the row's overhead vanishes, short enough that no value grows with the statement. */
const keysPerRow = 1000;

/**
 * Statements that make the trigger functions. Each is `security definer`, so that whoever may write the table can be
 * captured without any right in `pgrep`; names and operators are qualified, so that no `search_path` can bend them;
 * columns carry an alias, so that no column name can be taken for a variable.
 */
export function functionSql(options: {
  readonly tableId: string;
  readonly layout: QueueLayout;
  readonly partitioned: boolean;
}): readonly string[] {
  const { tableId, layout, partitioned } = options;
  const names = captureFunctions(tableId);
  const queue = queueTable(tableId);
  const oldKeys = partitioned ? keysOf(queue, layout, bothImages(layout)) : keyOfRow(queue, layout);
  return [
    ...trigger(names.keys, keysOf(queue, layout, 'changed')),
    ...trigger(names.oldKeys, oldKeys),
    ...trigger(names.truncate, `  insert into ${queue} (truncated) values (true);`),
  ];
}

function trigger(name: string, body: string): readonly string[] {
  return [
    `create function ${name}() returns trigger language plpgsql security definer as $pgrep$
begin
${body}
${doorbell}
  return null;
end
$pgrep$`,
    `revoke execute on function ${name}() from public`,
  ];
}

// Nothing captured: nothing to say (a notification would also assign a transaction id). And a transaction that has notified
// cannot be prepared. Where transactions can be prepared, the replayer's poll has to do.
const doorbell = `  if found and pg_catalog.pg_sequence_last_value('pgrep.doorbell') operator(pg_catalog.=) 2
    and pg_catalog.current_setting('max_prepared_transactions') operator(pg_catalog.=) '0' then
    perform pg_catalog.pg_notify('pgrep', '');
  end if;`;

/** Body for a statement trigger: the keys of all rows of the from-item `changed`; nothing when it has none. */
function keysOf(queue: string, layout: QueueLayout, changed: string): string {
  const targets = names(layout);
  if (!layout.packed) {
    return `  insert into ${queue} (${targets}) select ${list(layout, (column) => value('c', column))} from ${changed} c;`;
  }
  return `  if exists (select from ${changed} c offset 1) then
    insert into ${queue} (${targets})
    select ${list(layout, (column) => `pg_catalog.array_agg(s.${column.name})`)}
    from (
      select ${list(layout, (column) => `${value('c', column)} as ${column.name}`)},
        (pg_catalog.row_number() over () operator(pg_catalog.-) 1) operator(pg_catalog./) ${keysPerRow} as chunk
      from ${changed} c
    ) s
    group by s.chunk;
  else
    insert into ${queue} (${targets}) select ${list(layout, (column) => `array[${value('c', column)}]`)} from ${changed} c;
  end if;`;
}

/** Body for a row trigger: the key that the row had. */
function keyOfRow(queue: string, layout: QueueLayout): string {
  const values = list(layout, (column) => (layout.packed ? `array[${value('old', column)}]` : value('old', column)));
  return `  insert into ${queue} (${names(layout)}) values (${values});`;
}

/** A row that moves between partitions fires no update row trigger, so both images come from the transition tables. */
function bothImages(layout: QueueLayout): string {
  const columns = list(layout, (column) => `r.${column.source}`);
  return `(select ${columns} from changed r union all select ${columns} from replaced r)`;
}

function value(alias: string, column: QueueColumn): string {
  return `${alias}.${column.source}${column.cast}`;
}

function names(layout: QueueLayout): string {
  return list(layout, (column) => column.name);
}

function list(layout: QueueLayout, show: (column: QueueColumn) => string): string {
  return layout.columns.map(show).join(', ');
}
