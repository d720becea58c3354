import type { TargetTable } from './target-table.ts';

/**
 * Orders tables so that what a foreign key references comes first (depth-first topological sort).
 * In a cycle the order of the input decides; deferrable constraints or the careful path cope with it.
 */
export function parentsFirst(tables: readonly TargetTable[]): readonly TargetTable[] {
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  const ordered = new Set<TargetTable>();
  const open = new Set<TargetTable>();
  const visit = (table: TargetTable): void => {
    if (ordered.has(table) || open.has(table)) return;
    open.add(table);
    for (const oid of table.references) {
      const parent = byOid.get(oid);
      if (parent !== undefined) visit(parent);
    }
    open.delete(table);
    ordered.add(table);
  };
  tables.forEach(visit);
  return [...ordered];
}
