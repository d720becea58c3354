/**
 * `npm run demo`: one table, kept equal at a second Postgres and in Elasticsearch, while things go wrong.
 * `npm run demo -- --keep` leaves everything running at the end.
 */
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import pg from 'pg';
import { deferRemoval, settleFolders } from '../test/support/folders.ts';
import { waitFor } from '../test/support/wait.ts';
import { Commands } from './commands.ts';
import { indexContents, postgresContents } from './compare.ts';
import { endProgress, grouped, heading, progress, say, table } from './say.ts';
import { startServers, type DemoServers } from './servers.ts';
import { initialRows, Workload } from './workload.ts';

const tableAtLocal = `
  create schema local;
  create table local.loc_test (
    pk1 integer not null,
    pk2 text not null,
    info text,
    crt_time timestamp default clock_timestamp(),
    constraint loc_test_pk primary key (pk1, pk2)
  );
  insert into local.loc_test (pk1, pk2, info)
  select n, 'w' || n % 2, 'row ' || n from generate_series(1, ${initialRows}) n;`;

const tableAtRemote = `
  create schema remote;
  create table remote.rmt_test (
    pk1 integer not null,
    pk2 text not null,
    info text constraint info_is_short check (char_length(info) <= 40),
    crt_time timestamp,
    constraint rmt_test_pk primary key (pk1, pk2)
  );`;

async function main(keep: boolean): Promise<boolean> {
  const began = Date.now();
  heading('Two Postgres servers and an Elasticsearch, in temporary folders');
  const servers = await startServers(keep);
  let daemon: ChildProcess | undefined;
  const cleanUp = async (): Promise<void> => {
    daemon?.kill('SIGKILL');
    await servers[Symbol.asyncDispose]();
  };
  process.once('SIGINT', () => {
    void cleanUp().finally(() => process.exit(130));
  });
  try {
    const commands = new Commands(servers.configPath);
    await replicate(servers, commands);
    daemon = commands.startDaemon(join(servers.folder, 'daemon.log'), keep);
    await workThroughAnOutage(servers, commands);
    await holdAndMend(servers, commands);
    const equal = await compareAll(servers, commands);
    say(`\n${equal ? 'All three are equal.' : 'THEY DIFFER.'} ${((Date.now() - began) / 1000).toFixed(0)} s in all.`);
    if (keep) sayHowToLook(servers, commands, daemon);
    if (!keep) await cleanUp();
    return equal;
  } catch (error) {
    deferRemoval();
    await cleanUp();
    say(`\nIt failed. Data and logs are kept in ${settleFolders(true).join(' ')}`);
    throw error;
  }
}

/** The initial rows are copied by add-table itself; no daemon is needed for that. */
async function replicate(servers: DemoServers, commands: Commands): Promise<void> {
  say(`local   ${servers.localUrl}\nremote  ${servers.remoteUrl}\nes      ${servers.es.url}`);
  await runSql(servers.localUrl, tableAtLocal);
  await runSql(servers.remoteUrl, tableAtRemote);
  heading(`local.loc_test has ${grouped(initialRows)} rows; bring it to remote.rmt_test and to the index loc_test`);
  await commands.show(['init']);
  await commands.show(['add-table', 'local.loc_test', '--to', 'remote', '--as', 'remote.rmt_test']);
  await commands.show(['add-table', 'local.loc_test', '--to', 'es', '--index', 'loc_test']);
}

/** The application writes for 20 s; Elasticsearch is away from second 5 to second 11. */
async function workThroughAnOutage({ localUrl, es }: DemoServers, commands: Commands): Promise<void> {
  heading('An application writes; Elasticsearch is stopped in the middle and started again');
  await using workload = new Workload(localUrl, 2);
  const began = Date.now();
  let started = false;
  const until = async (second: number): Promise<void> => {
    while (Date.now() - began < second * 1000) await showState(workload, commands, began);
  };
  await until(5);
  await es.stop();
  endProgress();
  say('Elasticsearch is down. The application and the other link do not notice:');
  await until(11);
  const starting = es.start().finally(() => {
    started = true;
  });
  // Awaited below; until then a failure must not end the process by itself.
  starting.catch(() => undefined);
  endProgress();
  say('Elasticsearch is starting:');
  await until(20);
  await workload.stop();
  while (!started) await showState(workload, commands, began);
  await starting;
  endProgress();
  const { inserted, updated, moved, deleted } = workload.written;
  say(
    `Rows: ${grouped(inserted)} inserted, ${grouped(updated)} updated, ${moved} given another key, ${deleted} deleted.`,
  );
  await commands.show(['wait', '--timeout', '60']);
  await commands.show(['status']);
}

interface StatusAnswer {
  readonly links: readonly { readonly target: string; readonly state: string; readonly lagKeys: number | null }[];
}

async function showState({ written }: Workload, commands: Commands, began: number): Promise<void> {
  const { links } = (await commands.ask(['status'])) as StatusAnswer;
  const { inserted, updated, moved, deleted } = written;
  const behind = links.map(
    ({ target, state, lagKeys }) => `${target} ${state}, ${lagKeys === null ? '?' : grouped(lagKeys)} behind`,
  );
  const seconds = ((Date.now() - began) / 1000).toFixed(0).padStart(3);
  progress(`${seconds} s  ${grouped(inserted + updated + moved + deleted)} changes | ${behind.join(' | ')}`);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
}

/** A row that remote's check constraint refuses is held; all others flow on. Once the constraint is gone, it is retried. */
async function holdAndMend({ localUrl, remoteUrl }: DemoServers, commands: Commands): Promise<void> {
  heading('A row that one target refuses holds only itself');
  const poison = `insert into local.loc_test (pk1, pk2, info) values
    (1, 'poison', repeat('much too long for remote ', 4)), (2, 'healthy', 'committed together with the poison')`;
  say(`sql> ${poison.replaceAll(/\s+/g, ' ')}`);
  await runSql(localUrl, poison);
  await commands.show(['wait', '--timeout', '60']);
  await waitFor(async () => ((await commands.ask(['errors', 'list'])) as unknown[]).length > 0, { what: 'a held row' });
  await commands.show(['errors', 'list']);
  const mend = 'alter table remote.rmt_test drop constraint info_is_short';
  say(`at remote: sql> ${mend}`);
  await runSql(remoteUrl, mend);
  await commands.show(['retry-errors', '--limit', '500']);
}

/** Counts and checksums of all three, as a table. */
async function compareAll({ localUrl, remoteUrl, es }: DemoServers, commands: Commands): Promise<boolean> {
  heading('Are they equal?');
  await commands.show(['wait', '--timeout', '60']);
  const local = await postgresContents(localUrl, 'local.loc_test');
  const remote = await postgresContents(remoteUrl, 'remote.rmt_test');
  const index = await indexContents(es.url, 'loc_test');
  const rows = Object.entries({ 'local.loc_test': local, 'remote.rmt_test': remote, 'index loc_test': index });
  table(
    ['where', 'rows', 'checksum', ''],
    rows.map(([where, { rows: count, checksum }]) => [
      where,
      grouped(count),
      checksum,
      checksum === local.checksum ? 'equal' : 'DIFFERS',
    ]),
  );
  return rows.every(([, { checksum }]) => checksum === local.checksum);
}

function sayHowToLook(servers: DemoServers, commands: Commands, daemon: ChildProcess): void {
  heading('Everything is left running');
  say(`psql '${servers.localUrl}'    # change local.loc_test`);
  say(`psql '${servers.remoteUrl}'    # look at remote.rmt_test`);
  say(`curl '${servers.es.url}/loc_test/_search?pretty'`);
  say(commands.byHand('status --watch'));
  say(`tail -f ${join(servers.folder, 'daemon.log')}`);
  const pids = [daemon.pid, servers.local.pid, servers.remote.pid, servers.es.pid].filter((pid) => pid !== undefined);
  say(
    `To end it: kill ${pids.join(' ')}; rm -r ${servers.folder} ${servers.local.folder} ${servers.remote.folder} ${servers.es.folder}`,
  );
}

async function runSql(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

process.exitCode = (await main(process.argv.includes('--keep'))) ? 0 : 3;
