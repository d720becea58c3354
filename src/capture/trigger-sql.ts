import type { TableName } from '../core/route.ts';
import { ident, tableIdent } from '../db/quote.ts';
import { storedType, type TableDescription, type TypeDescription } from '../db/table-description.ts';
import { captureFunctions } from './capture-names.ts';
import { keyColumn } from './queue-layout.ts';

/** Names of capture's triggers on a table. */
export const triggerNames = [
  'pgrep_insert',
  'pgrep_update',
  'pgrep_old_keys',
  'pgrep_delete',
  'pgrep_truncate',
] as const;
export type TriggerName = (typeof triggerNames)[number];

/** What the triggers of one relation are made from. `relation` is the table itself or one of its partitions. */
export interface TriggerOptions {
  readonly description: TableDescription;
  readonly key: readonly string[];
  readonly tableId: string;
  readonly relation: TableName;
}

/** The triggers that a table needs: partitioned ones and their partitions learn old keys from the update trigger itself. */
export function neededTriggers(description: TableDescription): readonly TriggerName[] {
  return triggerNames.filter((name) => name !== 'pgrep_old_keys' || description.kind !== 'partitioned');
}

/** Statements that make the triggers of one relation, `enable always`: also sessions that replay other replication are captured. */
export function triggerSql(options: TriggerOptions): readonly string[] {
  const relation = tableIdent(options.relation);
  const needed = neededTriggers(options.description);
  const enable = needed.map((name) => `enable always trigger ${ident(name)}`).join(', ');
  return [...needed.map((name) => oneTriggerSql(options, name)), `alter table ${relation} ${enable}`];
}

function oneTriggerSql(options: TriggerOptions, name: TriggerName): string {
  const { event, level, condition, run } = triggerParts(options, name);
  return `create trigger ${ident(name)} after ${event(tableIdent(options.relation))}
  for each ${level}${condition} execute function ${run}()`;
}

interface TriggerParts {
  readonly event: (relation: string) => string;
  readonly level: 'statement' | 'row';
  readonly condition: string;
  readonly run: string;
}

function triggerParts(options: TriggerOptions, name: TriggerName): TriggerParts {
  const functions = captureFunctions(options.tableId);
  const partitioned = options.description.kind === 'partitioned';
  const statement = { level: 'statement', condition: '', run: functions.keys } as const;
  switch (name) {
    case 'pgrep_insert':
      return { ...statement, event: (relation) => `insert on ${relation} referencing new table as changed` };
    case 'pgrep_update':
      return partitioned
        ? {
            ...statement,
            event: (relation) => `update on ${relation} referencing old table as replaced new table as changed`,
            run: functions.oldKeys,
          }
        : { ...statement, event: (relation) => `update on ${relation} referencing new table as changed` };
    case 'pgrep_old_keys':
      return {
        event: (relation) => `update on ${relation}`,
        level: 'row',
        condition: ` when (${keyDiffers(options)})`,
        run: functions.oldKeys,
      };
    case 'pgrep_delete':
      return { ...statement, event: (relation) => `delete on ${relation} referencing old table as changed` };
    case 'pgrep_truncate':
      return { ...statement, event: (relation) => `truncate on ${relation}`, run: functions.truncate };
  }
}

/** Types whose `=` holds only for equal images (given a deterministic collation), by `pg_type.typname` in `pg_catalog`. */
const exactTypes: ReadonlySet<string> = new Set([
  'bool', 'int2', 'int4', 'int8', 'oid', 'uuid', 'text', 'varchar', 'name', 'char', 'bytea', 'date', 'time', 'timestamp', 'timestamptz',
]); // prettier-ignore

/** Condition of the row trigger: the key's image differs, also where the type calls the two equal (1.0 and 1.00). */
function keyDiffers({ description, key }: TriggerOptions): string {
  const columns = key.map((name) => keyColumn(description, name));
  if (columns.every((column) => column.deterministic && isExact(storedType(column.type)))) {
    const differ = columns.map((column) => `old.${ident(column.name)} is distinct from new.${ident(column.name)}`);
    return differ.length === 1 ? differ.join() : `(${differ.join(' or ')})`;
  }
  const image = (row: string): string =>
    `row(${columns.map((column) => `${row}.${ident(column.name)}`).join(', ')})::record`;
  return `${image('old')} operator(pg_catalog.*<>) ${image('new')}`;
}

function isExact(type: TypeDescription): boolean {
  return type.kind === 'enum' || (type.schema === 'pg_catalog' && exactTypes.has(type.name));
}
