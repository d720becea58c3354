import { cutToWidth, displayWidth } from './width.ts';

/** A column of a printed table. Numbers are right-aligned. */
export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly align?: 'left' | 'right';
}

/** No column but the last is cut, and the last never below this: shorter messages say nothing. */
const narrowestLastColumn = 20;

/**
 * Aligned columns under a line of titles, each line ended by a newline; '' for no rows.
 * `maxWidth`: the terminal's width, to which the last column is cut; null cuts nothing.
 */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  maxWidth: number | null,
): string {
  if (rows.length === 0) return '';
  const cells = rows.map((row) => columns.map((column) => oneLine(column.text(row))));
  const lines = [columns.map((column) => column.title), ...cells];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => displayWidth(line[index] ?? ''))));
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const last = maxWidth === null ? Infinity : Math.max(narrowestLastColumn, maxWidth - before);
  return lines
    .map((line) => {
      const padded = line.map((cell, index) => {
        if (index === line.length - 1) cell = cutToWidth(cell, last);
        const fill = ' '.repeat(Math.max(0, Math.min(widths[index] ?? 0, last) - displayWidth(cell)));
        return columns[index]?.align === 'right' ? fill + cell : cell + fill;
      });
      return `${padded.join('  ').trimEnd()}\n`;
    })
    .join('');
}

/** Line breaks and tabs would break the table; other control characters could drive the terminal. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\u0000-\u001f\u007f-\u009f]/g, '�');
}
