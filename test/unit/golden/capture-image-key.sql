create table pgrep.queue_7 (
  xid xid8 not null default pg_catalog.pg_current_xact_id(),
  version bigint not null default ((case when (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint > greatest(pg_catalog.pg_sequence_last_value('pgrep.ticks'), pg_catalog.pg_sequence_last_value('pgrep.clock')) then pg_catalog.setval('pgrep.ticks', (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint)
    when pg_catalog.pg_sequence_last_value('pgrep.ticks') >= pg_catalog.pg_sequence_last_value('pgrep.clock') then pg_catalog.nextval('pgrep.ticks')
    else pg_catalog.setval('pgrep.ticks', greatest(pg_catalog.pg_sequence_last_value('pgrep.ticks'), pg_catalog.pg_sequence_last_value('pgrep.clock')) + 1) end << 8) | 1),
  slice smallint not null default pg_catalog.pg_sequence_last_value('pgrep.slice'),
  from_node smallint,
  truncated boolean not null default false,
  inserted boolean not null default false,
  k1 numeric[],
  k2 text[] collate "shop"."loose"
) partition by list (slice);

comment on table pgrep.queue_7 is 'Changed keys of local.loc_test';

alter table pgrep.queue_7 alter column k1 set storage external, alter column k2 set storage external;

create table pgrep.queue_7_0 partition of pgrep.queue_7 for values in (0) with (autovacuum_enabled = false);

create table pgrep.queue_7_1 partition of pgrep.queue_7 for values in (1) with (autovacuum_enabled = false);

create table pgrep.queue_7_2 partition of pgrep.queue_7 for values in (2) with (autovacuum_enabled = false);

create index queue_7_xid on pgrep.queue_7 (xid);

create or replace function pgrep.capture_7() returns trigger language plpgsql security definer as $pgrep$
begin
  if pg_catalog.current_setting('application_name') operator(pg_catalog.=) 'pgrep-replayer' then
    return null;
  end if;
  if exists (select from changed c offset 1) then
    insert into pgrep.queue_7 (inserted, k1, k2)
    select capture_7.tg_op operator(pg_catalog.=) 'INSERT', pg_catalog.array_agg(s.k1), pg_catalog.array_agg(s.k2)
    from (
      select c."Amount"::numeric as k1, c."note" as k2,
        (pg_catalog.row_number() over () operator(pg_catalog.-) 1) operator(pg_catalog./) 1000 as chunk
      from changed c
    ) s
    group by s.chunk;
  else
    insert into pgrep.queue_7 (inserted, k1, k2) select capture_7.tg_op operator(pg_catalog.=) 'INSERT', array[c."Amount"::numeric], array[c."note"] from changed c;
  end if;
  if found and pg_catalog.pg_sequence_last_value('pgrep.doorbell') operator(pg_catalog.>) pg_catalog.date_part('epoch', pg_catalog.now())
    and pg_catalog.current_setting('max_prepared_transactions') operator(pg_catalog.=) '0' then
    perform pg_catalog.pg_notify('pgrep', '');
  end if;
  return null;
end
$pgrep$;

revoke execute on function pgrep.capture_7() from public;

create or replace function pgrep.capture_7_old_keys() returns trigger language plpgsql security definer as $pgrep$
begin
  if pg_catalog.current_setting('application_name') operator(pg_catalog.=) 'pgrep-replayer' then
    return null;
  end if;
  insert into pgrep.queue_7 (k1, k2) values (array[old."Amount"::numeric], array[old."note"]);
  if found and pg_catalog.pg_sequence_last_value('pgrep.doorbell') operator(pg_catalog.>) pg_catalog.date_part('epoch', pg_catalog.now())
    and pg_catalog.current_setting('max_prepared_transactions') operator(pg_catalog.=) '0' then
    perform pg_catalog.pg_notify('pgrep', '');
  end if;
  return null;
end
$pgrep$;

revoke execute on function pgrep.capture_7_old_keys() from public;

create or replace function pgrep.capture_7_truncate() returns trigger language plpgsql security definer as $pgrep$
begin
  if pg_catalog.current_setting('application_name') operator(pg_catalog.=) 'pgrep-replayer' then
    return null;
  end if;
  insert into pgrep.queue_7 (truncated) values (true);
  if found and pg_catalog.pg_sequence_last_value('pgrep.doorbell') operator(pg_catalog.>) pg_catalog.date_part('epoch', pg_catalog.now())
    and pg_catalog.current_setting('max_prepared_transactions') operator(pg_catalog.=) '0' then
    perform pg_catalog.pg_notify('pgrep', '');
  end if;
  return null;
end
$pgrep$;

revoke execute on function pgrep.capture_7_truncate() from public;

create trigger "pgrep_insert" after insert on "local"."loc_test" referencing new table as changed
  for each statement execute function pgrep.capture_7();

create trigger "pgrep_update" after update on "local"."loc_test" referencing new table as changed
  for each statement execute function pgrep.capture_7();

create trigger "pgrep_old_keys" after update on "local"."loc_test"
  for each row when (row(old."Amount", old."note")::record operator(pg_catalog.*<>) row(new."Amount", new."note")::record) execute function pgrep.capture_7_old_keys();

create trigger "pgrep_delete" after delete on "local"."loc_test" referencing old table as changed
  for each statement execute function pgrep.capture_7();

create trigger "pgrep_truncate" after truncate on "local"."loc_test"
  for each statement execute function pgrep.capture_7_truncate();

alter table "local"."loc_test" enable always trigger "pgrep_insert", enable always trigger "pgrep_update", enable always trigger "pgrep_old_keys", enable always trigger "pgrep_delete", enable always trigger "pgrep_truncate";

-- drop;

drop function if exists pgrep.capture_7() cascade;

drop function if exists pgrep.capture_7_old_keys() cascade;

drop function if exists pgrep.capture_7_truncate() cascade;

drop table if exists pgrep.queue_7;

