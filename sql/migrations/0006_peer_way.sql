-- What a peer has seen of a node may differ by table: of one it hears directly, of another by way of a node that forwards.
set local lock_timeout = '5s';

-- Tables of a peer that changes reach by other ways than most that it shares with this node. `way` is a number for those that have the same.
create table pgrep.peer_way (
  peer smallint not null,
  -- this node's
  table_id integer not null,
  way integer not null,
  constraint peer_way_pk primary key (peer, table_id)
);

-- 0: of all tables that are not in pgrep.peer_way.
alter table pgrep.peer_seen add column way integer not null default 0;
alter table pgrep.peer_seen drop constraint peer_seen_pk;
alter table pgrep.peer_seen add constraint peer_seen_pk primary key (peer, origin, way);
