import type { NodeRow } from './read-node.ts';

/** A key whose row is not the same everywhere. */
export interface Difference {
  readonly table: string;
  readonly key: string;
  /** What each node has, as JSON; null: nothing. */
  readonly rows: ReadonlyMap<string, string | null>;
}

/** Compares the rows of all nodes (by name). In the order of tables and keys. */
export function differencesOf(nodes: ReadonlyMap<string, readonly NodeRow[]>): readonly Difference[] {
  const byKey = new Map<string, { table: string; key: string; rows: Map<string, string> }>();
  for (const [node, rows] of nodes) {
    for (const { table, key, text } of rows) {
      const name = `${table} ${key}`;
      const found = byKey.get(name) ?? { table, key, rows: new Map<string, string>() };
      byKey.set(name, found);
      found.rows.set(node, text);
    }
  }
  const names = [...nodes.keys()];
  return [...byKey.entries()]
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([, { table, key, rows }]) => ({
      table,
      key,
      rows: new Map(names.map((name) => [name, rows.get(name) ?? null])),
    })) // prettier-ignore
    .filter(({ rows }) => new Set(rows.values()).size > 1);
}
