-- Ends the transaction of a batch whose rows were changed here after they were judged, so that it begins again.
-- Parameters: raced.
-- Returns: nothing. Fails with SQLSTATE PGC02 when raced is true.
-- Touches: nothing.
create or replace function pgrep.stop_if_raced(raced boolean)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if raced then
    raise exception 'a row of the batch was changed here while it was being applied' using errcode = 'PGC02';
  end if;
end
$$;
