-- Relations of a captured table (itself and its partitions) that have capture triggers and whose rows before the triggers
-- have been queued or copied. Tells a partition that is new, and one that was detached or dropped, from those that were there.
create table pgrep.captured_relation (
  table_id integer not null,
  relation oid not null,
  constraint captured_relation_pk primary key (table_id, relation),
  constraint captured_relation_table_fk foreign key (table_id) references pgrep.captured_table (table_id) on delete cascade
);
