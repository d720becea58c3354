-- Asks the daemon to try held rows again: the oldest target's oldest records, at most i_limit of them, in one batch.
-- Parameters: i_limit, 1 or more.
-- Returns: the number of records that are held now. They are tried after this transaction has committed.
-- Writes: pgrep.request.
create or replace function pgrep.deal_sync_err_rec(i_limit integer)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if i_limit is null or i_limit < 1 then
    raise exception 'pgrep.deal_sync_err_rec: i_limit is %, it must be 1 or more', coalesce(i_limit::text, 'null')
      using errcode = '22023', hint = 'For example: select pgrep.deal_sync_err_rec(500)';
  end if;
  insert into pgrep.request (kind, row_limit) values ('retry', i_limit);
  perform pg_notify('pgrep', '');
  return (select count(*) from pgrep.sync_err_rec);
end
$$;
