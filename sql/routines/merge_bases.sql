-- Puts together on which versions two versions of one row were built.
-- Parameters: one, other: of each node the highest version; null: none.
-- Returns: the same of both, null when there is none.
create or replace function pgrep.merge_bases(one bigint[], other bigint[])
returns bigint[]
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select array_agg(b.highest) from (
    select max(v) as highest from unnest(one || other) v group by v & 255
  ) b
$$;
