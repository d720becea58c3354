/**
 * SQL for the oid of a type without its domains, for an expression that gives a type's oid (null stays null). Recursive for domains
 * over domains, and only for them: working out all types at once took more than half of the time that loading a route takes.
 */
export function baseTypeSql(type: string): string {
  return `coalesce((with recursive d (oid, typtype) as (
      select y.typbasetype, b.typtype from pg_catalog.pg_type y join pg_catalog.pg_type b on b.oid = y.typbasetype where y.oid = ${type} and y.typtype = 'd'
      union all
      select y.typbasetype, b.typtype from d join pg_catalog.pg_type y on y.oid = d.oid join pg_catalog.pg_type b on b.oid = y.typbasetype where d.typtype = 'd')
    select d.oid from d where d.typtype <> 'd'), ${type})`;
}
