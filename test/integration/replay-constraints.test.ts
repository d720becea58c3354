import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { one, Pair } from './replay-pair.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'constraints' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

describe('foreign keys, with a target role that cannot silence them', () => {
  const family = `create table parent (id int primary key, u text unique);
    create table child (id int primary key, p int references parent, self int references child);
    create table grandchild (id int primary key, c int not null references child on delete cascade)`;

  test('parents and children of one transaction arrive together, whatever the order of their routes', async () => {
    await using pair = await Pair.open({ server, replicaRole: false, sql: family });
    await pair.add('grandchild', 'child', 'parent');
    pair.run();
    await pair.change(`begin; insert into parent select i, 'u' || i from generate_series(1, 300) i;
      insert into child select i, i, i from generate_series(1, 300) i; insert into grandchild select i, i from generate_series(1, 300) i; commit`);
    await pair.change(
      'begin; delete from grandchild where id > 100; update child set self = null where id > 100; delete from child where id > 100; delete from parent where id > 100; commit',
    );
    await pair.change(
      `begin; insert into parent values (1000, 'u50x'); update child set p = 1000 where p = 50; delete from parent where id = 50; commit`,
    );
    await pair.change(
      'begin; insert into child values (2001, 1, null); update child set self = 2001 where id < 10; commit',
    );
    expect((await pair.expectEqual('parent', 'child', 'grandchild')).length).toBe(100);
    expect((await pair.errors()).map((r) => [r.table_name, r.key, r.reason, r.message])).toEqual([]);
  });

  test('a row that leaves its parent keeps what hangs on it, though the delete of the parent cascades', async () => {
    await using pair = await Pair.open({
      server,
      replicaRole: false,
      sql: `create table parent (id int primary key, u text unique); create table child (id int primary key, p int references parent on delete cascade);
        create table grandchild (id int primary key, c int references child on delete cascade); create table tree (id int primary key, up int references tree on delete cascade, name text unique)`,
    });
    await pair.source
      .query(`insert into parent values (1, 'a'), (2, 'b'); insert into child select i, 1 from generate_series(1, 5) i;
      insert into grandchild select i, 1 + i % 5 from generate_series(1, 20) i; insert into tree values (1, null, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, null, 'd')`);
    await pair.add('parent', 'child', 'grandchild', 'tree');
    pair.run();
    await pair.change(
      `begin; update child set p = 2 where id < 4; delete from parent where id = 1; update tree set up = 4 where id = 2; delete from tree where id = 1; commit`,
    );
    await pair.expectEqual('parent', 'child', 'tree');
    expect((await pair.expectEqual('grandchild')).length).toBe(12);
    // The value that the deleted parent had is taken in the same transaction: the insert cannot go before the delete.
    await pair.change(
      `begin; insert into parent values (3, 'x'); update child set p = 3; delete from parent where id = 2; update parent set u = 'b'; commit`,
    );
    await pair.change(
      `begin; insert into tree values (5, null, 'e'); update tree set up = 5 where up = 4; delete from tree where id = 4; update tree set name = 'd' where id = 5; commit`,
    );
    await pair.expectEqual('parent', 'child', 'tree');
    expect((await pair.expectEqual('grandchild')).length).toBe(12);
    expect((await pair.errors()).map((r) => [r.table_name, r.key, r.reason, r.message])).toEqual([]);
  });

  test('what hangs on a row that moved survives, though the backlog is larger than a batch and the delete cascades', async () => {
    await using pair = await Pair.open({
      server,
      replicaRole: false,
      maxBatchRows: 2,
      sql: `create table parent (id int primary key, v int); create table child (id int primary key, p int references parent on delete cascade);
        create table grandchild (id int primary key, c int references child on delete cascade)`,
    });
    await pair.source.query(
      `insert into parent values (1, 0), (2, 0); insert into child values (1, 1); insert into grandchild values (1, 1)`,
    );
    await pair.add('parent', 'child', 'grandchild');
    // Cut after its first transaction, the backlog would bring the delete of parent 1 before the move of its child.
    await pair.source.query('update parent set v = 1');
    await pair.source.query('begin; update child set p = 2; delete from parent where id = 1; commit');
    await pair.source.query('update parent set v = 2');
    pair.run();
    await pair.settle();
    expect((await pair.expectEqual('parent', 'child', 'grandchild')).length).toBe(1);
  });

  test('rows that reference each other in a circle arrive, also beside a row that is refused', async () => {
    await using pair = await Pair.open({
      server,
      replicaRole: false,
      sql: `create table a (id int primary key, b int); create table b (id int primary key, a int references a deferrable initially deferred);
        alter table a add constraint a_b foreign key (b) references b deferrable`,
      targetSql: 'alter table b add check (id <> 13)',
    });
    await pair.add('a', 'b');
    pair.run();
    const circle = (
      from: number,
      to: number,
    ): string => `begin; set constraints all deferred; insert into a select i, i from generate_series(${from}, ${to}) i;
      insert into b select i, i from generate_series(${from}, ${to}) i`;
    await pair.change(`${circle(1, 3)}; commit`);
    await pair.expectEqual('a', 'b');
    await pair.change(`${circle(4, 6)}; insert into b values (13, 1); commit`);
    await pair.expectEqual('a');
    expect(await one(pair.target, 'select id from b order by id')).toEqual(['1', '2', '3', '4', '5', '6']);
    expect((await pair.errors()).map((record) => [record.table_name, record.key, record.reason])).toEqual([
      ['b', ['13'], '23514'],
    ]);
  });
});

describe('values of a second unique key', () => {
  test.for([
    { replicaRole: true, cascade: false },
    { replicaRole: false, cascade: false },
    { replicaRole: true, cascade: true },
    { replicaRole: false, cascade: true },
  ])('G2: values exchanged between rows arrive: %o', async ({ replicaRole, cascade }) => {
    const table = (
      name: string,
      type: string,
      deferrable = '',
    ): string => `create table ${name} (id int primary key, u ${type}, x int, constraint ${name}_u unique (u) ${deferrable});
      create table of_${name} (id int references ${name} ${cascade ? 'on delete cascade' : ''}, n int primary key)`;
    await using pair = await Pair.open({
      server,
      replicaRole,
      sourceSql: [
        table('t', 'text not null', 'deferrable'),
        table('n', 'int'),
        table('i', 'bigint not null', 'deferrable'),
      ].join(';'),
      targetSql: [table('t', 'text not null'), table('n', 'int'), table('i', 'bigint not null')].join(';'),
    });
    for (const name of ['t', 'n', 'i']) {
      await pair.source.query(
        `alter table ${name} disable trigger user; insert into ${name} select i, i, i from generate_series(1, 20) i; insert into of_${name} select i, i from generate_series(1, 20) i`,
      );
    }
    await pair.add('t', 'of_t', 'n', 'of_n', 'i', 'of_i');
    pair.run();
    for (const name of ['t', 'i']) {
      await pair.source.query(`begin; set constraints all deferred;
        update ${name} set u = case id when 1 then '2' when 2 then '1' when 3 then '4' when 4 then '5' when 5 then '3' end${name === 'i' ? '::bigint' : ''} where id < 6;
        update ${name} set u = '100' where id = 6; update ${name} set u = '6' where id = 7; update ${name} set u = '7' where id = 8;
        delete from of_${name} where id = 9; delete from ${name} where id = 9; insert into ${name} values (109, '9', 0); update ${name} set id = 110 where false; commit`);
    }
    // Without deferrable constraints, by way of a third value, in several transactions that come as one batch or as several.
    await pair.source.query(
      'update n set u = 1000 where id = 1; update n set u = 1 where id = 2; update n set u = 2 where id = 1; update n set u = null where id = 3; update n set u = 3 where id = 4; update n set u = 4 where id = 3',
    );
    await pair.settle();
    expect((await pair.errors()).map((r) => [r.table_name, r.key, r.reason, r.message])).toEqual([]);
    await pair.expectEqual('t', 'of_t', 'n', 'of_n', 'i', 'of_i');
  });

  test('a value that a row outside the batch has is refused, and only that row waits', async () => {
    await using pair = await Pair.open({
      server,
      sourceSql: 'create table t (id int primary key, u int)',
      targetSql: 'create table t (id int primary key, u int unique)',
    });
    await pair.add('t');
    pair.run();
    await pair.change('insert into t values (1, 1), (2, 2), (3, 3)');
    await pair.change('update t set u = 2 where id = 1; insert into t values (4, 4), (5, 2)');
    expect((await pair.errors()).map((record) => [record.key, record.reason]).sort()).toEqual([
      [['1'], '23505'],
      [['5'], '23505'],
    ]);
    expect(await one(pair.target, 'select t::text from t order by id')).toEqual(['(1,1)', '(2,2)', '(3,3)', '(4,4)']);
  });
});
