import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Load } from './load.ts';
import { digest, Pair } from './pair.ts';

let server: PostgresServer;
let remote: PostgresServer;
beforeAll(async () => {
  [server, remote] = await Promise.all([startPostgres({ name: 'running' }), startPostgres({ name: 'away' })]);
});
afterAll(async () => {
  await Promise.all([server, remote].map((each) => each[Symbol.asyncDispose]()));
});

const columns = 'id integer primary key, n integer not null';

describe('a running daemon', () => {
  test('takes up add-table, changed filters and remove-table under load, without a restart', async () => {
    await using pair = await Pair.create('changes', { local: server, remote: server });
    await pair.both(`create table public.t (${columns}); create table public.u (${columns})`);
    await pair.json('init');
    await using daemon = pair.spawn('run');
    await daemon.says(/"msg":"started"/);
    await pair.sql('local', 'insert into public.u select i, 0 from generate_series(1, 1000) i');
    await using load = new Load(pair.url.local);
    await pair.json('add-table', 'public.t', '--to', 'remote');
    await pair.json('add-table', 'public.u', '--to', 'remote', '--where', 'id <= 500');
    await pair.untilEqual('select count(*)::integer > 20 as many from public.t');
    for (const where of ['id % 2 = 0', 'id % 3 = 0 and n >= 0']) {
      const { routes } = (await pair.json('add-table', 'public.t', '--to', 'remote', '--where', where)) as {
        routes: { change: string }[];
      };
      expect(routes).toMatchObject([{ change: 'changed' }]);
    }
    await load.stop();
    await pair.arrive();
    await pair.expectEqual(
      'select * from public.t where id % 3 = 0 and n >= 0 order by id',
      'select * from public.t order by id',
    );
    await pair.expectEqual('select * from public.u where id <= 500 order by id', 'select * from public.u order by id');
    await pair.json('remove-table', 'public.u');
    await pair.sql('local', 'delete from public.u; insert into public.t values (3000000, 5)');
    await pair.arrive();
    expect(await pair.value('remote', 'select count(*)::integer from public.u')).toBe(500);
    expect(await pair.value('remote', 'select n from public.t where id = 3000000')).toBe(5);
    expect(
      await pair.value('local', "select count(*)::integer from pg_trigger where tgrelid = 'public.u'::regclass"),
    ).toBe(0);
    expect(daemon.stderr).not.toMatch(/"level":"(warn|error)"/);
  });

  test('serves every link of the configuration, or only those that --from and --to name', async () => {
    await using pair = await Pair.create('some_links', { local: server, remote: server });
    const third = await server.createDatabase('some_links_third');
    pair.configure({ nodes: { third: { postgres: third } } });
    await using beyond = new Pair({ local: third, remote: pair.url.remote });
    await pair.both(`create table public.t (${columns}); create table public.back (${columns})`);
    await beyond.sql('local', `create table public.t (${columns})`);
    await pair.json('add-table', 'public.t', '--to', 'remote,third');
    await pair.json('add-table', 'public.back', '--from', 'remote', '--to', 'local');
    await pair.sql('local', 'insert into public.t values (1, 1)');
    await pair.sql('remote', 'insert into public.back values (1, 1)');
    const arrived = async (): Promise<unknown> => [
      await pair.value('remote', 'select count(*)::integer from public.t'),
      await beyond.value('local', 'select count(*)::integer from public.t'),
      await pair.value('local', 'select count(*)::integer from public.back'),
    ];
    const states = async (): Promise<unknown> =>
      ((await pair.json('status')) as { links: Record<string, unknown>[] }).links
        .map(({ source, target, state }) => `${String(source)}->${String(target)} ${String(state)}`)
        .sort();
    {
      await using some = pair.spawn('run', '--from', 'local', '--to', 'third');
      await pair.json('wait', '--to', 'third', '--timeout', '30');
      expect(await arrived()).toEqual([0, 1, 0]);
      expect(await states()).toEqual(['local->remote no daemon', 'local->third running', 'remote->local no daemon']);
      expect(some.stderr.match(/"msg":"replaying"/g)).toHaveLength(1);
    }
    await using all = pair.spawn('run');
    await pair.arrive();
    expect(await arrived()).toEqual([1, 1, 1]);
    expect(await states()).toEqual(['local->remote running', 'local->third running', 'remote->local running']);
    expect(all.stderr.match(/"msg":"replaying"/g)).toHaveLength(3);
  });

  test('gives triggers to a new partition and brings the rows that it had before', async () => {
    await using pair = await Pair.create('partitions', { local: server, remote: server });
    await pair.sql(
      'local',
      `create table public.t (${columns}) partition by range (id); create table public.t1 partition of public.t for values from (0) to (100)`,
    );
    await pair.sql('remote', `create table public.t (${columns})`);
    await pair.json('add-table', 'public.t', '--to', 'remote');
    await using daemon = await pair.daemon();
    await pair.sql(
      'local',
      'create table public.t2 partition of public.t for values from (100) to (200); insert into public.t2 values (150, 1)',
    );
    await pair.sql('local', 'insert into public.t values (50, 1)');
    await pair.untilEqual(digest, 30_000);
    expect(daemon.stderr).toMatch(/mended/);
  });

  test('finishes a copy whose command was killed, beside the writes meanwhile', async () => {
    await using pair = await Pair.create('interrupted', { local: server, remote: server });
    pair.configure({ replayer: { copyChunkRows: 500 } });
    await pair.both(`create table public.t (${columns})`);
    await pair.sql('local', 'insert into public.t select i, 0 from generate_series(1, 60000) i');
    await using copying = pair.spawn('add-table', 'public.t', '--to', 'remote');
    const copied = async (): Promise<number> => Number(await pair.value('remote', 'select count(*) from public.t'));
    await waitFor(async () => (await copied()) > 2_000, { what: 'the copy to be under way' });
    copying.kill('SIGKILL');
    await copying.exit();
    const before = await copied();
    expect(before).toBeLessThan(60_000);
    await pair.sql(
      'local',
      'update public.t set n = 1 where id % 7 = 0; delete from public.t where id % 11 = 0; update public.t set id = id + 100000 where id % 13 = 0',
    );
    await using daemon = await pair.daemon();
    await pair.arrive();
    await pair.expectEqual(digest);
    expect(daemon.stderr).toMatch(/"msg":"copied"/);
  });
});

describe('status', () => {
  test('tells lag 0 when idle, a lag that rises while the target is down, and nodes that do not answer, with status 4', async () => {
    await using pair = await Pair.create('lag', { local: server, remote });
    await pair.both(`create table public.t (${columns})`);
    await pair.json('add-table', 'public.t', '--to', 'remote');
    await using daemon = await pair.daemon();
    await pair.sql('local', 'insert into public.t values (1, 1)');
    await pair.arrive();
    const idle = {
      source: 'local',
      target: 'remote',
      state: 'running',
      lagSeconds: 0,
      lagKeys: 0,
      held: 0,
      tables: 1,
      copying: 0,
    };
    expect(await pair.json('status')).toEqual({
      links: [
        {
          ...idle,
          rate: expect.any(Number) as number,
          catchingUp: false,
          lastError: null,
          appliedAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        },
      ],
      unreachable: [],
    });
    let writing = true;
    const written = (async (): Promise<void> => {
      while (writing) await pair.sql('local', 'update public.t set n = n + 1');
    })();
    await waitFor(async () => Number((await pair.link())['rate']) > 0, { what: 'a rate under load' });
    writing = false;
    await written;
    await pair.arrive();
    daemon.kill('SIGSTOP');
    await pair.sql('local', 'insert into public.t values (2, 1), (3, 1)');
    const lag = await waitFor(
      async () => {
        const { lagSeconds, lagKeys } = await pair.link();
        return Number(lagSeconds) > 1 && lagKeys === 2;
      },
      { what: 'the lag to rise' },
    );
    expect(lag).toBe(true);
    await remote.stop('immediate');
    daemon.kill('SIGCONT');
    await waitFor(async () => (await pair.link())['state'] === 'retrying', { what: 'the link to back off' });
    const { code, stdout } = await pair.pgrep('status', '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([
      4,
      {
        links: [
          {
            state: 'retrying',
            lagSeconds: null,
            lagKeys: null,
            held: 0,
            lastError: expect.stringMatching(/remote/) as string,
          },
        ],
        unreachable: ['remote'],
      },
    ]);
    const waited = await pair.pgrep('wait', '--timeout', '1', '--json');
    expect([waited.code, JSON.parse(waited.stdout)]).toMatchObject([
      3,
      { reached: false, behind: [{ source: 'local', target: 'remote' }] },
    ]);
    await remote.start();
    await pair.arrive();
    expect(await pair.json('status')).toMatchObject({ links: [idle], unreachable: [] });
    await pair.expectEqual(digest);
  });
});
