import type { ErrorRecord } from '../../app/results.ts';
import { formatKey, formatNumber, formatTime } from './human.ts';
import { formatTable } from './table.ts';

/** A line for each record: what was refused where, and why. */
export function formatErrorTable(records: readonly ErrorRecord[], maxWidth: number | null): string {
  return formatTable(
    records,
    [
      { title: 'ID', text: ({ id }) => id, align: 'right' },
      { title: 'LINK', text: ({ source, dst_server }) => `${source}->${dst_server}` },
      { title: 'TABLE', text: ({ nsp_name, table_name }) => `${nsp_name}.${table_name}` },
      { title: 'KEY', text: ({ key }) => formatKey(key) },
      { title: 'TRIES', text: ({ attempts }) => formatNumber(attempts), align: 'right' },
      { title: 'SINCE', text: ({ create_time }) => formatTime(create_time) },
      { title: 'REASON', text: ({ reason }) => reason },
      { title: 'MESSAGE', text: ({ message }) => message },
    ],
    maxWidth,
  );
}

/** One record in full, its statement last so that it can be copied. */
export function formatErrorRecord(record: ErrorRecord): string {
  const lines: readonly (readonly [string, string])[] = [
    ['record', `${record.id} at ${record.source}`],
    ['table', `${record.nsp_name}.${record.table_name}`],
    ['key', formatKey(record.key)],
    ['target', record.dst_server],
    ['reason', record.reason],
    ['message', record.message],
    ['tries', formatNumber(record.attempts)],
    ['first', formatTime(record.create_time)],
    ['last', formatTime(record.last_time)],
    ['next', formatTime(record.next_time)],
  ];
  const head = lines.map(([name, value]) => `${name.padEnd(9)}${value.replaceAll('\n', `\n${' '.repeat(9)}`)}\n`);
  return `${head.join('')}statement at ${record.dst_server}:\n\n${record.dst_query}\n`;
}
