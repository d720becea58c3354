import { describe, expect, test } from 'vitest';
import { count, formatKey, formatNumber, formatSeconds } from '../../src/cli/print/human.ts';
import { formatSql } from '../../src/cli/print/result.ts';
import { formatTable } from '../../src/cli/print/table.ts';
import { cutToWidth, displayWidth } from '../../src/cli/print/width.ts';

describe('numbers for people', () => {
  test.each([
    [0, '0'],
    [7, '7'],
    [0.44, '0.4'],
    [999, '999'],
    [1234.5, '1,235'],
    [1_234_567, '1,234,567'],
  ])('%d is shown as %s', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  test.each([
    [0, '0 s'],
    [0.01, '<0.1 s'],
    [0.44, '0.4 s'],
    [59.4, '59 s'],
    [60, '1 min'],
    [75, '1 min 15 s'],
    [3600, '1 h'],
    [93_700, '1 d 2 h'],
  ])('%d seconds are shown as %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  test('one is singular, the others plural', () => {
    expect([0, 1, 2000].map((amount) => count(amount, 'row'))).toEqual(['0 rows', '1 row', '2,000 rows']);
    expect(count(2, 'row is', 'rows are')).toBe('2 rows are');
  });

  test('a composite key stands in parentheses', () => {
    expect([formatKey(['7']), formatKey(['7', 'x'])]).toEqual(['7', '(7, x)']);
  });
});

describe('tables', () => {
  const columns = [
    { title: 'NAME', text: (row: readonly [string, string]) => row[0] },
    { title: 'N', text: () => '1', align: 'right' as const },
    { title: 'TEXT', text: (row: readonly [string, string]) => row[1] },
  ];

  test('align by the width on the screen, also of East Asian letters and combining marks', () => {
    const rows = [
      ['日本', 'a'],
      ['e\u0301t', 'b'],
      ['plain', 'c'],
    ] as const;
    const text = formatTable(rows, columns, null);
    expect(text).toBe('NAME   N  TEXT\n日本   1  a\ne\u0301t     1  b\nplain  1  c\n');
    const starts = text
      .split('\n')
      .slice(0, 4)
      .map((line) => displayWidth(line.slice(0, line.search(/\S+$/))));
    expect(new Set(starts).size).toBe(1);
  });

  test('cut the last column to the terminal and nothing elsewhere', () => {
    const rows = [['a', 'x'.repeat(100)]] as const;
    expect(formatTable(rows, columns, 40).split('\n')[1]).toBe(`a     1  ${'x'.repeat(30)}…`);
    expect(formatTable(rows, columns, null)).toContain('x'.repeat(100));
  });

  test('keep one line a row and no control characters, so that a stored message cannot drive the terminal', () => {
    expect(formatTable([['a', 'x\n\u001b[31my']] as const, columns, null).split('\n')[1]).toBe('a     1  x �[31my');
  });

  test('print nothing for no rows', () => {
    expect(formatTable([], columns, null)).toBe('');
  });

  test('cut between letters, not through one', () => {
    expect(cutToWidth('日本語', 4)).toBe('日…');
    expect(cutToWidth('日本', 4)).toBe('日本');
  });
});

describe('the SQL of a dry run', () => {
  test('stands under its node, each statement ended once', () => {
    const planned = [
      { node: 'local', text: 'create schema pgrep' },
      { node: 'local', text: 'select 1;\n' },
      { node: 'es', text: 'PUT /index\n{}' },
    ];
    expect(formatSql(planned)).toBe('-- at local\ncreate schema pgrep;\nselect 1;\n\n-- at es\nPUT /index\n{}\n');
  });

  test('says so when there is nothing to do', () => {
    expect(formatSql([])).toBe('-- nothing to do\n');
  });
});
