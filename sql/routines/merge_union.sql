-- Makes one row of two concurrent ones: array columns become the sorted union of both arrays, each element once; all other columns are
-- those of the row with the higher version. For add-table --policy function.
-- Parameters: a, b: rows of one table; a_version, b_version: their versions. Of equal versions the greater text of the other columns counts.
-- Returns: the row. A null array adds nothing. Arrays that are the same already stay as they are; others come out sorted (texts by their bytes,
-- so that every node agrees) and with one dimension.
-- Symmetric and idempotent; associative when a result has the higher of the two versions. The arrays need no such condition.
-- Writes: nothing.
create or replace function pgrep.merge_union(a anyelement, a_version bigint, b anyelement, b_version bigint)
returns anyelement
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set bytea_output = 'hex'
set extra_float_digits = 3
as $$
declare
  result alias for $0;
  picks text;
  others_of_a text;
  others_of_b text;
  a_wins boolean;
begin
  select string_agg(case when t.is_array then format(
      'case when ($1).%1$I::text is not distinct from ($2).%1$I::text then ($1).%1$I else coalesce((select array_agg(d.x order by d.x%2$s, d.x::text collate "C") from ('
      'select distinct on (e.x%2$s) e.x from (select unnest(($1).%1$I) union all select unnest(($2).%1$I)) e (x) order by e.x%2$s, e.x::text collate "C" desc) d), ''{}'') end',
      t.attname, t.sorted)
    else format('case when $3 then ($1).%1$I else ($2).%1$I end', t.attname) end, ', ' order by t.attnum),
    string_agg(format('($1).%I', t.attname), ', ' order by t.attnum) filter (where not t.is_array),
    string_agg(format('($2).%I', t.attname), ', ' order by t.attnum) filter (where not t.is_array)
  into picks, others_of_a, others_of_b
  from (
    select c.attname, c.attnum, e.typcategory = 'A' as is_array,
      case when e.typcategory <> 'A' then ''
        when not pgrep.has_order(c.atttypid) then '::text collate "C"'
        when c.attcollation <> 0 then ' collate "C"'
        else '' end as sorted
    from pg_type y
    join pg_attribute c on c.attrelid = y.typrelid and c.attnum > 0 and not c.attisdropped
    join pg_type e on e.oid = c.atttypid
    where y.oid = pg_typeof(a) and y.typrelid <> 0
  ) t;
  if picks is null then
    raise exception 'pgrep.merge_union takes two rows of a table, not values of type %', pg_typeof(a) using errcode = '42804';
  end if;
  a_wins := a_version > b_version;
  if a_version = b_version then
    execute format('select row(%s)::text collate "C" >= row(%s)::text collate "C"', others_of_a, others_of_b)
    into a_wins using a, b;
  end if;
  execute 'select ' || picks into result using a, b, a_wins;
  return result;
end
$$;
