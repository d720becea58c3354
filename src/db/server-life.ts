/**
 * SQL for a text that is another one after each crash of the server and stays the same through clean restarts: recovery throws
 * the cumulative statistics away (PostgreSQL manual, "The Cumulative Statistics System"). An operator's reset of them only
 * causes what is still queued to be sent again.
 */
export const serverLife = `coalesce(pg_catalog.pg_stat_get_bgwriter_stat_reset_time()::text, '')`;

/** SQL for: the link to `target` (an SQL expression) confirmed its position in an earlier life of the server. */
export function crashedSql(target: string): string {
  return `exists (select from pgrep.link_state l where l.target = ${target} and l.confirmed_in <> ${serverLife})`;
}
