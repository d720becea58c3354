-- A snapshot in which some transactions count as open, too.
-- Parameters: snapshot; xids: those transactions, null for none. Such as the snapshot cannot have seen anyway change nothing.
-- Returns: the snapshot.
-- Not by min: 14 has none for xid8.
create or replace function pgrep.with_open(snapshot pg_snapshot, xids xid8[])
returns pg_snapshot
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when xids is null then snapshot else format('%s:%s:%s',
    least(pg_snapshot_xmin(snapshot), (select x from unnest(xids) x order by x limit 1)), pg_snapshot_xmax(snapshot),
    (select string_agg(o.xid::text, ',' order by o.xid) from (select x as xid from pg_snapshot_xip(snapshot) x union select x from unnest(xids) x) o
     where o.xid < pg_snapshot_xmax(snapshot)))::pg_snapshot end
$$;
