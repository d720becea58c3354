-- The state that pgrep keeps in a database, whether it is a source, a target or both.

create schema if not exists pgrep;

-- Who this database is in the cluster, and whom it knows. node_id is part of every version.
create table pgrep.node (
  node_id smallint not null constraint node_id_range check (node_id between 1 and 255),
  name text not null,
  is_self boolean not null default false,
  constraint node_pk primary key (node_id),
  constraint node_name_key unique (name)
);
create unique index node_self_key on pgrep.node (is_self) where is_self;

-- Hybrid logical clock: microseconds of the highest version seen from another node. Setval is immediate.
create sequence pgrep.clock as bigint minvalue 0 start 0;
-- Until when (seconds since the epoch) a replayer sleeps and wants a NOTIFY; 1: nobody does. A replayer that was killed
-- renews it no more, so that commits soon stop to notify for nobody.
create sequence pgrep.doorbell as bigint minvalue 1 start 1;
-- Which of the three parts of a queue new rows go to.
create sequence pgrep.slice as smallint minvalue 0 maxvalue 2 start 0 cycle;
-- Counts changes of routes, so that daemons see them at once.
create sequence pgrep.generation as bigint;
-- External versions of Elasticsearch documents built from this database.
create sequence pgrep.build as bigint;
select
  pg_catalog.setval('pgrep.clock', 0),
  pg_catalog.setval('pgrep.doorbell', 1),
  pg_catalog.setval('pgrep.slice', 0),
  pg_catalog.setval('pgrep.generation', 1),
  pg_catalog.setval('pgrep.build', (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint);

-- Tables with capture triggers; the queue of table 7 is pgrep.queue_7.
create table pgrep.captured_table (
  table_id integer generated always as identity,
  nsp_name text not null,
  table_name text not null,
  key_columns text[] not null,
  created_at timestamptz not null default pg_catalog.now(),
  constraint captured_table_pk primary key (table_id),
  constraint captured_table_name_key unique (nsp_name, table_name)
);

-- What is replicated from this database, and where to.
create table pgrep.route (
  route_id bigint generated always as identity,
  table_id integer not null,
  target text not null,
  target_kind text not null constraint route_target_kind check (target_kind in ('postgres', 'elasticsearch')),
  target_nsp text not null,
  target_table text not null,
  -- [{"source": "info", "target": "note"}, …] in table order
  columns jsonb not null,
  filter text,
  state text not null constraint route_state check (state in ('copying', 'live')),
  -- true while the copy has to delete what the route no longer holds
  sweep boolean not null default false,
  -- true once a flushed batch has taken the table in: only then may its queue be emptied up to the link's confirmed position
  joined boolean not null default false,
  options jsonb not null default '{}',
  created_at timestamptz not null default pg_catalog.now(),
  constraint route_pk primary key (route_id),
  constraint route_table_target_key unique (table_id, target),
  constraint route_table_fk foreign key (table_id) references pgrep.captured_table (table_id)
);

-- Where a link stands. Kept at the target when that is Postgres (in the transaction of the rows), else at the source.
create table pgrep.position (
  source text not null,
  target text not null,
  epoch bigint not null default 0,
  snapshot pg_snapshot,
  system_identifier bigint,
  database text,
  timeline integer,
  applied_at timestamptz,
  constraint position_pk primary key (source, target)
) with (fillfactor = 10);

-- Tables of a link that stand elsewhere than the link: being copied, or copied and not yet in a batch.
create table pgrep.table_position (
  source text not null,
  target text not null,
  route_id bigint not null,
  snapshot pg_snapshot not null,
  last_key text[],
  copied_rows bigint not null default 0,
  copied boolean not null default false,
  constraint table_position_pk primary key (source, target, route_id)
);

-- What the replayer of a link says of itself, at the source; and what its target has durably reached.
create table pgrep.link_state (
  target text not null,
  state text not null default 'new',
  last_error text,
  rate double precision not null default 0,
  catching_up boolean not null default false,
  confirmed pg_snapshot,
  confirmed_at timestamptz,
  updated_at timestamptz not null default pg_catalog.now(),
  constraint link_state_pk primary key (target)
);

-- What a target refused. One record a key; dst_query runs by hand at the target.
create table pgrep.sync_err_rec (
  id bigint generated always as identity,
  nsp_name text not null,
  table_name text not null,
  dst_server text not null,
  dst_query text not null,
  create_time timestamptz not null default pg_catalog.now(),
  route_id bigint not null,
  key text[] not null,
  reason text not null,
  message text not null,
  attempts integer not null default 1,
  last_time timestamptz not null default pg_catalog.now(),
  next_time timestamptz not null default pg_catalog.now(),
  -- counts changes of the key that waited for the record; a retry removes the record only if none came since it read the row
  touched bigint not null default 0,
  constraint sync_err_rec_pk primary key (id),
  constraint sync_err_rec_key unique (route_id, key),
  constraint sync_err_rec_route_fk foreign key (route_id) references pgrep.route (route_id) on delete cascade
);
create index sync_err_rec_due on pgrep.sync_err_rec (dst_server, next_time);

-- What SQL asks of the daemon (pgrep.deal_sync_err_rec).
create table pgrep.request (
  id bigint generated always as identity,
  kind text not null constraint request_kind check (kind in ('retry')),
  row_limit integer not null,
  create_time timestamptz not null default pg_catalog.now(),
  constraint request_pk primary key (id)
);
