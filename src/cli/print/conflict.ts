import type { ConflictRecord, ConflictSide, RowAsText } from '../../app/conflicts.ts';
import type { RestoreResult } from '../../app/restore-conflict.ts';
import { formatKey, formatTime } from './human.ts';
import { formatTable } from './table.ts';

/** A line for each conflict: which row, who met whom, and what stands. */
export function formatConflictTable(conflicts: readonly ConflictRecord[], maxWidth: number | null): string {
  return formatTable(
    conflicts,
    [
      { title: 'ID', text: ({ id }) => id, align: 'right' },
      { title: 'NODE', text: ({ node }) => node },
      { title: 'FOUND', text: ({ create_time }) => formatTime(create_time) },
      { title: 'TABLE', text: ({ nsp_name, table_name }) => `${nsp_name}.${table_name}` },
      { title: 'KEY', text: ({ key }) => formatKey(key) },
      { title: 'KIND', text: ({ kind }) => kind },
      { title: 'WRITTEN BY', text: ({ local, remote }) => `${local.node}, ${remote.node}` },
      { title: 'STANDS', text: standsIn },
    ],
    maxWidth,
  );
}

function standsIn(conflict: ConflictRecord): string {
  const restored = conflict.restore_time === null ? '' : ', restored';
  switch (conflict.verdict) {
    case 'local':
    case 'remote':
      return `that of ${conflict[conflict.verdict].node}${restored}`;
    case 'held':
      return `held${restored}`;
    case 'merged':
      return `a row of both${restored}`;
  }
}

/** One conflict in full: both versions and both rows, columns that differ marked. */
export function formatConflict(conflict: ConflictRecord): string {
  const { id, node, nsp_name, table_name, key, kind, policy, source, create_time, restore_time } = conflict;
  const lines: readonly (readonly [string, string])[] = [
    ['conflict', `${id} at ${node}`],
    ['table', `${nsp_name}.${table_name}`],
    ['key', formatKey(key)],
    ['kind', kind],
    ['policy', policy],
    ['verdict', verdictText(conflict)],
    ['found', `${formatTime(create_time)}, when a batch of ${source} came`],
    ...(restore_time === null ? [] : [['restored', formatTime(restore_time)] as const]),
    ['local', showSide(conflict.local)],
    ['remote', showSide(conflict.remote)],
  ];
  const head = lines.map(([name, value]) => `${name.padEnd(10)}${value}\n`).join('');
  return `${head}\n${formatRows(conflict.local.row, conflict.remote.row)}`;
}

function verdictText({ verdict }: ConflictRecord): string {
  switch (verdict) {
    case 'local':
    case 'remote':
      return `the ${verdict} version stands`;
    case 'held':
      return 'held: both versions stay where they are until somebody decides';
    case 'merged':
      return 'merged: a row was made of both';
  }
}

function showSide({ version, node, time, row }: ConflictSide): string {
  const when = time === null ? 'before its changes were counted' : time.replace('T', ' ');
  return `${row === null ? 'deleted' : 'written'} at ${node}, ${when} (version ${version})`;
}

function formatRows(local: RowAsText | null, remote: RowAsText | null): string {
  const names = [...new Set([...Object.keys(local ?? {}), ...Object.keys(remote ?? {})])];
  return formatTable(
    names,
    [
      { title: 'COLUMN', text: (name) => (isSame(local, remote, name) ? name : `${name} *`) },
      { title: 'LOCAL', text: (name) => showValue(local, name) },
      { title: 'REMOTE', text: (name) => showValue(remote, name) },
    ],
    null,
  );
}

function isSame(local: RowAsText | null, remote: RowAsText | null, name: string): boolean {
  return local !== null && remote !== null && local[name] === remote[name];
}

function showValue(row: RowAsText | null, name: string): string {
  if (row === null) return '(deleted)';
  const value = row[name];
  return value === undefined ? '(not recorded)' : (value ?? '(null)');
}

/** What `restore` did, and what it replaced. */
export function formatRestored({ conflict, side, change, replaced }: RestoreResult): string {
  const row = `${conflict.nsp_name}.${conflict.table_name} ${formatKey(conflict.key)}`;
  const done = {
    inserted: `Inserted ${row}`,
    updated: `Updated ${row}`,
    deleted: `Deleted ${row}`,
    none: `Left ${row} deleted`,
  };
  const head = `${done[change ?? 'none']} at ${conflict.node}, as ${conflict[side].node} had it (the ${side} version); all nodes receive it as a new change.\n`;
  if (replaced === null) return head;
  const written = formatTable(
    Object.keys(replaced),
    [
      { title: 'COLUMN', text: (name) => name },
      { title: 'REPLACED', text: (name) => showValue(replaced, name) },
    ],
    null,
  );
  return `${head}\n${written}`;
}
