-- Tells whether values of a type have an order that is the same in every database, so that all nodes agree which is the greatest.
-- Parameters: type.
-- Returns: false for types without an order (json, xml, point), and for those that compare texts inside by the database's own
-- collation (jsonb, composite types, ranges of texts). Depends on the type alone, never on values.
-- Writes: nothing.
create or replace function pgrep.has_order(type regtype)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (
    select from pg_type t
    left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
    left join pg_range r on r.rngtypid in (t.oid, e.oid)
    where t.oid = type and ('c' in (t.typtype, e.typtype) or 'jsonb'::regtype in (t.oid, e.oid) or r.rngcollation <> 0)
  ) then
    return false;
  end if;
  -- No row, so that no constraint of a domain is checked.
  execute format('select greatest(v.x, v.x) from (select null::%s as x where false) v', type);
  return true;
exception
  when undefined_function then
    return false;
end
$$;
