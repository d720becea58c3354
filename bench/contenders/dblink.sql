-- The lineage's replication of one table, as its 2012 write-up describes it: a row trigger sends each change to the
-- other server over a cached dblink connection; what cannot be delivered is kept, and dealt with later in batches.

create extension dblink;

create table bench.dst_server (url text not null);

create table bench.sync_err_rec (
  id bigint generated always as identity constraint sync_err_rec_pk primary key,
  nsp_name text not null,
  table_name text not null,
  dst_server text not null,
  dst_query text not null,
  create_time timestamp not null default clock_timestamp()
);

-- Connects once a session; a connection that broke is opened anew.
create function bench.connect_dst(server text) returns void language plpgsql as $$
begin
  if 'dst' = any (dblink_get_connections()) then
    return;
  end if;
  perform dblink_connect('dst', server);
end $$;

create function bench.sync_item() returns trigger language plpgsql as $$
declare
  server text;
  query text;
begin
  select url into server from bench.dst_server;
  case tg_op
    when 'INSERT' then
      query := 'insert into bench.item (id, info, n, crt_time) values (' || quote_literal(new.id) || ','
        || quote_literal(new.info) || ',' || quote_literal(new.n) || ',' || quote_literal(new.crt_time) || ')';
    when 'UPDATE' then
      query := 'update bench.item set id = ' || quote_literal(new.id) || ', info = ' || quote_literal(new.info)
        || ', n = ' || quote_literal(new.n) || ', crt_time = ' || quote_literal(new.crt_time)
        || ' where id = ' || quote_literal(old.id);
    when 'DELETE' then
      query := 'delete from bench.item where id = ' || quote_literal(old.id);
  end case;
  begin
    perform bench.connect_dst(server);
    perform dblink_exec('dst', query, true);
  exception when others then
    insert into bench.sync_err_rec (nsp_name, table_name, dst_server, dst_query)
      values (tg_table_schema, tg_table_name, server, query);
    if 'dst' = any (dblink_get_connections()) then
      perform dblink_disconnect('dst');
    end if;
  end;
  return null;
end $$;

-- Applies the oldest records of the oldest record's server and deletes them, both in one transaction; gives their number.
create function bench.deal_sync_err_rec(i_limit integer) returns integer language plpgsql as $$
declare
  server text;
  record_id bigint;
  query text;
  dealt integer := 0;
begin
  select dst_server into server from bench.sync_err_rec order by id limit 1;
  if not found then
    return 0;
  end if;
  perform bench.connect_dst(server);
  perform dblink_exec('dst', 'begin', true);
  for record_id, query in
    select id, dst_query from bench.sync_err_rec where dst_server = server order by id limit i_limit
  loop
    perform dblink_exec('dst', query, true);
    delete from bench.sync_err_rec where id = record_id;
    dealt := dealt + 1;
  end loop;
  perform dblink_exec('dst', 'commit', true);
  return dealt;
end $$;

create trigger sync_item after insert or update or delete on bench.item
  for each row execute function bench.sync_item();
