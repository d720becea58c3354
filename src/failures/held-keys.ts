import { ident } from '../db/quote.ts';
import type { Route } from '../core/route.ts';

/** Restricts a query of a route's keys (columns named as `route.key`, and any others) to keys that are not held. */
export function withoutHeld(route: Route, keys: string): string {
  return `select h.* from (${keys}) h where not exists (
    select from pgrep.sync_err_rec e where e.route_id = ${route.id} and e.key = ${keyText(route)})`;
}

/** Query for the ids of records whose key is among a query's keys. */
export function heldAmong(route: Route, keys: string): string {
  return `select e.id from (${keys}) h join pgrep.sync_err_rec e on e.route_id = ${route.id} and e.key = ${keyText(route)}`;
}

/** Query for the keys of records, in the types of the route's key. `ids` are bigints as text. */
export function recordedKeys(route: Route, ids: readonly string[]): string {
  const columns = route.key.map((name, index) => {
    const type = route.columns.find((column) => column.source === name)?.type ?? 'text';
    return `e.key[${index + 1}]::${type} as ${ident(name)}`;
  });
  return `select distinct ${columns.join(', ')} from pgrep.sync_err_rec e where e.route_id = ${route.id} and e.id in (${ids.join(', ')})`;
}

// Text of a session with pinned settings, as it is recorded.
function keyText(route: Route): string {
  return `array[${route.key.map((name) => `h.${ident(name)}::text`).join(', ')}]`;
}
