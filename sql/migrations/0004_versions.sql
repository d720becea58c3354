-- Two-way routes: versions of rows, what each node has seen, and what lost to a concurrent change.
set local lock_timeout = '5s';

-- One row a captured table that has two-way routes. The versions of its rows are in pgrep.row_version_<table_id>.
create table pgrep.versioned_table (
  table_id integer not null,
  -- queue rows that this has seen are folded into the row versions
  folded pg_snapshot not null,
  -- the newest TRUNCATE: whatever is not newer is gone; with the transaction at the node that issued it
  floor_version bigint not null default 0,
  floor_xid bigint not null default 0,
  -- what was there when versions were last pruned
  looked pg_snapshot,
  -- in which life of the server `folded` was written: a crash gives ids of transactions out again
  life text not null default '',
  constraint versioned_table_pk primary key (table_id),
  constraint versioned_table_table_fk foreign key (table_id) references pgrep.captured_table (table_id) on delete cascade
);

-- What a peer had seen of each node's transactions when it sent the last batch that was applied here.
create table pgrep.peer_seen (
  peer smallint not null,
  origin smallint not null,
  snapshot pg_snapshot not null,
  -- what of it the peer has passed on to here, all rows included; null: it forwards nothing
  passed pg_snapshot,
  constraint peer_seen_pk primary key (peer, origin)
);

-- Tables whose rows a peer was still being sent, for the first time, when it sent the last batch that was applied here: what it
-- has seen of other tables says nothing of these. `table_id` is this node's.
create table pgrep.peer_copying (
  peer smallint not null,
  table_id integer not null,
  constraint peer_copying_pk primary key (peer, table_id)
);

-- Into which captured table of this node a two-way route copies; null: the route is one-way.
alter table pgrep.table_position add column table_id integer;

-- Counts batches that brought rows or ended a copy: a link that has nothing to send still tells its target what arrived here.
alter table pgrep.position add column changes bigint not null default 0;

-- Two concurrent versions of one row, found at this node. "local" is what this node had, "remote" what arrived.
create table pgrep.conflict (
  id bigint generated always as identity,
  nsp_name text not null,
  table_name text not null,
  -- key values as text, in key order of this node's table
  key text[] not null,
  kind text not null constraint conflict_kind check (kind in ('insert/insert', 'update/update', 'update/delete', 'delete/update', 'truncate/write', 'unique')),
  policy text not null constraint conflict_policy check (policy in ('last-write-wins', 'hold', 'function')),
  -- which version stands: local, remote, both where they are until somebody decides (held), or a row made of both (merged)
  verdict text not null constraint conflict_verdict check (verdict in ('local', 'remote', 'held', 'merged')),
  -- node that sent the remote version
  source text not null,
  local_version bigint not null,
  remote_version bigint not null,
  -- null: deleted
  local_row json,
  remote_row json,
  create_time timestamptz not null default pg_catalog.now(),
  restore_time timestamptz,
  constraint conflict_pk primary key (id),
  constraint conflict_versions_key unique (nsp_name, table_name, key, local_version, remote_version)
);
create index conflict_create_time on pgrep.conflict (create_time);

-- A node that was forgotten takes no part any more: nothing is kept for it. `exchange`: [[node id, transaction], …], where each other node
-- queued what it had of the forgotten one; null: not all have done so, or this node does not know of it.
alter table pgrep.node add column forgotten boolean not null default false, add column exchange jsonb;

-- The highest version, in microseconds, that was given out here: what comes later is higher, also when the server's clock is set back.
-- Not pgrep.clock: that only rises, under a lock; here two writers at once may leave the lower of their two.
create sequence pgrep.ticks as bigint minvalue 0 start 0;
select pg_catalog.setval('pgrep.ticks', 0);

-- Queues learn whether a statement inserted the keys, so that two inserts of one key can be told from two updates.
do $$
declare
  queue text;
begin
  for queue in select pg_catalog.format('pgrep.queue_%s', t.table_id) from pgrep.captured_table t loop
    if pg_catalog.to_regclass(queue) is not null then
      execute pg_catalog.format('alter table %s add column inserted boolean not null default false,
        alter column version set default (pg_catalog.setval(''pgrep.ticks'', greatest((pg_catalog.date_part(''epoch'', pg_catalog.clock_timestamp()) * 1000000)::bigint,
          pg_catalog.pg_sequence_last_value(''pgrep.clock'') + 1, pg_catalog.pg_sequence_last_value(''pgrep.ticks'') + 1)) << 8) | %s',
        queue, (select n.node_id from pgrep.node n where n.is_self));
    end if;
  end loop;
end
$$;
