import type { TableName } from '../core/route.ts';

/** An SQL identifier, always quoted. The only way that a name comes into generated SQL. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `"schema"."name"`. */
export function tableIdent(table: TableName): string {
  return `${ident(table.schema)}.${ident(table.name)}`;
}

/** An SQL string literal, safe with standard_conforming_strings on or off; for SQL that takes no parameters (COPY, DDL). */
export function literal(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
