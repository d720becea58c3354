-- Raises this node's clock to a version that arrived, so that whatever is written here afterwards is newer.
-- Parameters: version, null for nothing to do; max_skew_ms: how far its time may be ahead of this server's.
-- Returns: nothing. Fails with SQLSTATE PGC01 when the version is further ahead.
-- Writes: the sequence pgrep.clock, at once and whatever becomes of the transaction. It only rises: two that raise it take turns.
create or replace function pgrep.raise_clock(version bigint, max_skew_ms bigint)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  micros constant bigint := version >> 8;
  ahead_ms constant bigint := (micros - (extract(epoch from clock_timestamp()) * 1000000)::bigint) / 1000;
begin
  if ahead_ms > max_skew_ms then
    raise exception 'a version is % ms ahead of this server''s clock, % ms are allowed', ahead_ms, max_skew_ms
      using errcode = 'PGC01';
  end if;
  if micros <= pg_sequence_last_value('pgrep.clock') then
    return;
  end if;
  perform pg_advisory_lock(482770018674);
  if micros > pg_sequence_last_value('pgrep.clock') then
    perform setval('pgrep.clock', micros);
  end if;
  perform pg_advisory_unlock(482770018674);
end
$$;
