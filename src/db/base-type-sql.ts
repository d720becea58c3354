/**
 * Begins a statement with `base_of_domain (oid, base)`: each domain with the type beneath it, also beneath domains over domains.
 * Other types are not in it.
 */
export const withBaseOfDomain = `with recursive step (oid, base) as (
  select t.oid, t.typbasetype from pg_catalog.pg_type t where t.typtype = 'd'
  union all
  select s.oid, t.typbasetype from step s join pg_catalog.pg_type t on t.oid = s.base where t.typtype = 'd'
), base_of_domain (oid, base) as (
  select s.oid, s.base from step s join pg_catalog.pg_type t on t.oid = s.base where t.typtype <> 'd'
)`;
