-- While the server's clock is behind, versions go on by nextval: of two writers that set the counter at once, the slower left it lower.
set local lock_timeout = '5s';

do $$
declare
  queue text;
begin
  for queue in select pg_catalog.format('pgrep.queue_%s', t.table_id) from pgrep.captured_table t loop
    if pg_catalog.to_regclass(queue) is not null then
      execute pg_catalog.format('alter table %1$s alter column version set default ((case
        when (pg_catalog.date_part(''epoch'', pg_catalog.clock_timestamp()) * 1000000)::bigint > greatest(pg_catalog.pg_sequence_last_value(''pgrep.ticks''), pg_catalog.pg_sequence_last_value(''pgrep.clock''))
        then pg_catalog.setval(''pgrep.ticks'', (pg_catalog.date_part(''epoch'', pg_catalog.clock_timestamp()) * 1000000)::bigint)
        when pg_catalog.pg_sequence_last_value(''pgrep.ticks'') >= pg_catalog.pg_sequence_last_value(''pgrep.clock'') then pg_catalog.nextval(''pgrep.ticks'')
        else pg_catalog.setval(''pgrep.ticks'', greatest(pg_catalog.pg_sequence_last_value(''pgrep.ticks''), pg_catalog.pg_sequence_last_value(''pgrep.clock'')) + 1) end << 8) | %2$s)',
        queue, (select n.node_id from pgrep.node n where n.is_self));
    end if;
  end loop;
end
$$;
