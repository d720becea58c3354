import type { LinkStatus, StatusResult } from '../../app/results.ts';
import { showLink } from '../../core/route.ts';
import { count, formatNumber, formatSeconds } from './human.ts';
import { formatTable } from './table.ts';

/** Every link in a line, then what to do about them; `maxWidth` as in `formatTable`. */
export function formatStatus({ links, unreachable }: StatusResult, maxWidth: number | null): string {
  const missing = unreachable.map((node) => `Node ${node} cannot be reached: links from it are not shown.\n`).join('');
  if (links.length === 0 && missing !== '') return missing;
  if (links.length === 0) {
    return 'Nothing is replicated. Begin with: pgrep add-table SCHEMA.TABLE --to NODE\n';
  }
  const table = formatTable(
    links,
    [
      { title: 'LINK', text: showLink },
      { title: 'STATE', text: showState },
      { title: 'LAG', text: ({ lagSeconds }) => orUnknown(lagSeconds, formatSeconds), align: 'right' },
      { title: 'KEYS', text: ({ lagKeys }) => orUnknown(lagKeys, formatNumber), align: 'right' },
      { title: 'RATE', text: ({ rate }) => `${formatNumber(rate)}/s`, align: 'right' },
      { title: 'HELD', text: ({ held }) => formatNumber(held), align: 'right' },
      { title: 'TABLES', text: ({ tables }) => formatNumber(tables), align: 'right' },
      { title: 'LAST ERROR', text: ({ lastError }) => lastError ?? '' },
    ],
    maxWidth,
  );
  const below = missing + advice(links);
  return below === '' ? table : `${table}\n${below}`;
}

function showState({ state, copying, catchingUp }: LinkStatus): string {
  if (state === 'copying') return `copying ${count(copying, 'table')}`;
  return catchingUp ? `${state}, catching up` : state;
}

function orUnknown(value: number | null, show: (value: number) => string): string {
  return value === null ? '?' : show(value);
}

function advice(links: readonly LinkStatus[]): string {
  const held = links.reduce((sum, link) => sum + link.held, 0);
  const lines = [
    ...(held > 0 ? [`${count(held, 'row is', 'rows are')} held: see pgrep errors list, then pgrep retry-errors.`] : []),
    ...(links.some(({ state }) => state === 'no daemon') ? ['Links without a daemon wait for: pgrep run'] : []),
    ...(links.some(({ catchingUp }) => catchingUp)
      ? ['While a link is catching up, a row at its target may be newer than its neighbours.']
      : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
