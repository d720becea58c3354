-- Makes one row of two concurrent ones: of each column the greater value. For add-table --policy function.
-- Parameters: a, b: rows of one table; a_version, b_version: not used, since the values alone decide.
-- Returns: the row. Null is less than any value. Texts are compared by their bytes (collation "C"), so that every node agrees; values that
-- are equal but not the same (1.0 and 1.00), and types without an order (see pgrep.has_order), by their text. As each column
-- takes the maximum of a total order, the result is symmetric, associative and idempotent.
-- Writes: nothing.
create or replace function pgrep.merge_greatest(a anyelement, a_version bigint, b anyelement, b_version bigint)
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
begin
  -- Of equal values greatest() gives its first argument: both orders, and then the text, leave one.
  select string_agg(case when pgrep.has_order(t.atttypid) then format(
      '(select case when m.x::text collate "C" >= m.y::text collate "C" then m.x else m.y end from (select greatest(v.x, v.y) as x, greatest(v.y, v.x) as y from (select ($1).%1$I%2$s as x, ($2).%1$I%2$s as y) v) m)',
      t.attname, t.collation)
    else format(
      '(select case when v.y::text is null or v.x::text collate "C" >= v.y::text collate "C" then v.x else v.y end from (select ($1).%1$I as x, ($2).%1$I as y) v)',
      t.attname) end, ', ' order by t.attnum)
  into picks
  from (
    select c.attname, c.attnum, c.atttypid,
      case when c.attcollation <> 0 then ' collate "C"' else '' end as collation
    from pg_type y
    join pg_attribute c on c.attrelid = y.typrelid and c.attnum > 0 and not c.attisdropped
    where y.oid = pg_typeof(a) and y.typrelid <> 0
  ) t;
  if picks is null then
    raise exception 'pgrep.merge_greatest takes two rows of a table, not values of type %', pg_typeof(a) using errcode = '42804';
  end if;
  execute 'select ' || picks into result using a, b;
  return result;
end
$$;
