import { ident, literal, tableIdent } from '../db/quote.ts';
import type { Route } from '../core/route.ts';
import type { ChangedTable } from '../targets/target.ts';

/** A half-open range of keys in the source's order, `(after, upTo]`; `after` null: from the first key. Values as text. */
export interface KeyRange {
  readonly after: readonly string[] | null;
  readonly upTo: readonly string[];
}

/** Query for the last key of a route's table (text columns k1, k2, …); no row: it is empty. */
export function lastKeySql(route: Route): string {
  const descending = keyColumns(route).map((column) => `${column} desc`);
  return `select ${keyTexts(route)} from (select ${keyNamed(route)} from ${tableIdent(route.sourceTable)} t order by ${descending.join(', ')} limit 1) c`;
}

/** Query for the last key (text columns k1, k2, …) and the number of rows of the next chunk of a range; no row: none is left. */
export function chunkEndSql(route: Route, range: KeyRange, chunkRows: number): string {
  const descending = route.key.map((_, index) => `c.k${index + 1} desc`).join(', ');
  return `select ${keyTexts(route)}, pg_catalog.count(*) over () as rows
from (select ${keyNamed(route)} from ${tableIdent(route.sourceTable)} t where ${withinRange(route, range)} order by ${keyColumns(route).join(', ')} limit ${chunkRows}) c order by ${descending} limit 1`;
}

/** The chunk as a part of a batch: all keys of the range, and the route's rows among them. */
export function chunkTable(route: Route, range: KeyRange): ChangedTable {
  const key = route.key.map((name) => `t.${ident(name)}`).join(', ');
  const columns = route.columns.map((column) => `t.${ident(column.source)}`).join(', ');
  const inRange = withinRange(route, range);
  const rows = `${tableIdent(route.sourceTable)} t where ${inRange}`;
  // The filter may name columns without alias, so it stands where only the table's own columns are in sight.
  const filter = route.filter === null ? '' : ` and (${route.filter}\n)`;
  return {
    route,
    keys: `select ${key} from ${rows}`,
    rows: `(select ${columns} from ${rows}${filter})`,
    sweep: false,
    small: false,
    byHash: false,
    allLive: route.filter === null,
  };
}

/** The last part of a copy that also deletes, at the target, whatever the route does not hold. */
export function sweepTable(route: Route): ChangedTable {
  const key = route.key.map((name) => `t.${ident(name)}`).join(', ');
  const columns = route.columns.map((column) => `t.${ident(column.source)}`).join(', ');
  const filter = route.filter === null ? '' : ` where (${route.filter}\n)`;
  return {
    route,
    keys: `select ${key} from ${tableIdent(route.sourceTable)} t where false`,
    rows: `(select ${columns} from ${tableIdent(route.sourceTable)} t${filter})`,
    sweep: true,
    small: false,
    byHash: false,
  };
}

function withinRange(route: Route, { after, upTo }: KeyRange): string {
  const end = `${keyRow(route)} <= ${valueRow(route, upTo)}`;
  return after === null ? end : `${beyond(route, after)} and ${end}`;
}

function beyond(route: Route, after: readonly string[]): string {
  return `${keyRow(route)} > ${valueRow(route, after)}`;
}

function keyRow(route: Route): string {
  return `(${keyColumns(route).join(', ')})`;
}

function keyColumns(route: Route): readonly string[] {
  return route.key.map((name) => `t.${ident(name)}`);
}

function keyNamed(route: Route): string {
  return keyColumns(route)
    .map((column, index) => `${column} as k${index + 1}`)
    .join(', ');
}

function keyTexts(route: Route): string {
  return route.key.map((_, index) => `c.k${index + 1}::text as k${index + 1}`).join(', ');
}

function valueRow(route: Route, values: readonly string[]): string {
  const typed = route.key.map((name, index) => {
    const type = route.columns.find((column) => column.source === name)?.type ?? 'text';
    return `${literal(values[index] ?? '')}::${type}`;
  });
  return `(${typed.join(', ')})`;
}
