import { expect, test } from 'vitest';
import type { LinkStatus } from '../../src/app/results.ts';
import { formatStatus } from '../../src/cli/print/status.ts';

const idle: LinkStatus = {
  source: 'local',
  target: 'remote',
  state: 'running',
  lagSeconds: 0,
  lagKeys: 0,
  rate: 1235,
  held: 0,
  tables: 1,
  copying: 0,
  catchingUp: false,
  lastError: null,
  appliedAt: null,
};

test('an idle link has lag 0 and needs no advice', () => {
  expect(formatStatus({ links: [idle], unreachable: [] }, null)).toBe(
    'LINK           STATE    LAG  KEYS     RATE  HELD  TABLES  LAST ERROR\n' +
      'local->remote  running  0 s     0  1,235/s     0       1\n',
  );
});

test('a lag that is not known is a question mark, never 0', () => {
  const link = { ...idle, lagSeconds: null, lagKeys: null };
  expect(formatStatus({ links: [link], unreachable: [] }, null)).toMatch(/running +\? +\? /);
});

test('held rows, missing daemons, copies and backlogs are pointed out', () => {
  const links = [
    { ...idle, held: 2, catchingUp: true },
    { ...idle, target: 'es', state: 'no daemon' as const },
    { ...idle, target: 'es2', state: 'copying' as const, copying: 1 },
  ];
  const text = formatStatus({ links, unreachable: [] }, null);
  expect(text).toContain('running, catching up');
  expect(text).toContain('copying 1 table');
  expect(text).toMatch(
    /\n\n2 rows are held: .*\nLinks without a daemon wait for: pgrep run\nWhile a link is catching up, .*\n$/,
  );
});

test('a node that does not answer is named, and nothing is said of what it may replicate', () => {
  const missing = 'Node local cannot be reached: links from it are not shown.\n';
  expect(formatStatus({ links: [], unreachable: ['local'] }, null)).toBe(missing);
  expect(formatStatus({ links: [idle], unreachable: ['local'] }, null)).toMatch(new RegExp(`\n\n${missing}$`));
  expect(formatStatus({ links: [], unreachable: [] }, null)).toMatch(/^Nothing is replicated/);
});
