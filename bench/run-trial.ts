import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PgrepError } from '../src/core/error.ts';
import { send } from './elasticsearch-http.ts';
import { ElasticsearchReplica } from './elasticsearch-replica.ts';
import type { LoadGenerator } from './load/generator.ts';
import { PostgresReplica } from './postgres-replica.ts';
import type { Replica } from './replica.ts';
import type { Appointment } from './schedule.ts';
import type { Servers } from './servers.ts';
import { createItem, insertRows } from './source-table.ts';
import { execute, withClient } from './sql.ts';
import type { ContenderName, Figures, Place, Trial, WorkloadName } from './trial.ts';
import { until } from './until.ts';

/** What a trial gave. `failed` says why its figures do not count (rows lost, a command that failed); null when they do. */
export interface Measurement {
  readonly workload: WorkloadName;
  readonly contender: ContenderName;
  readonly round: number;
  readonly figures: Figures;
  readonly failed: string | null;
}

/** What all trials of a run share. */
export interface Stage {
  readonly servers: Servers;
  readonly load: LoadGenerator;
  readonly scale: number;
  /** A folder of the run. */
  readonly scratch: string;
}

/** Runs one trial in databases of its own and drops them; a trial that fails is a measurement too, never a throw. */
export async function runTrial(stage: Stage, appointment: Appointment, number: number): Promise<Measurement> {
  const { workload, contender, round } = appointment;
  const about = { workload: workload.name, contender: contender.name, round };
  try {
    const place = await makePlace(stage, appointment, `t${number}`);
    try {
      return { ...about, figures: await measure(stage, appointment, place), failed: null };
    } finally {
      await removePlace(stage, place);
    }
  } catch (error) {
    return { ...about, figures: {}, failed: describe(error) };
  }
}

/** An error's message; of one that happened while another's work was being cleaned up, the first one's too. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('suppressed' in error && 'error' in error) return `${describe(error.suppressed)}; then ${describe(error.error)}`;
  return error.message;
}

async function measure(stage: Stage, appointment: Appointment, place: Place): Promise<Figures> {
  const { workload, contender } = appointment;
  await using attached = await contender.attach(place);
  await using replica = replicaOf(place);
  if (contender.follows) await passOneRow(place, replica);
  await settle(stage);
  const { target } = stage.servers;
  const trial: Trial = {
    contender,
    attached,
    place,
    replica,
    load: stage.load,
    scaled: (size) => scaled(size, stage.scale),
    targetServer: { stop: () => target.stop('fast'), start: () => target.start() },
  };
  const figures = await workload.measure(trial);
  if (contender.follows || attached.copy !== undefined) await requireEqual(replica);
  return { ...figures, ...(await attached.usage?.()) };
}

function scaled(size: number, scale: number): number {
  return Math.max(1, Math.round(size * scale));
}

async function makePlace(stage: Stage, appointment: Appointment, tag: string): Promise<Place> {
  const { workload, contender } = appointment;
  const { servers } = stage;
  const rows = workload.preloadRows(contender) * stage.scale;
  const scratch = join(stage.scratch, `${tag}-${workload.name}-${contender.name.replace(' ', '-')}`);
  await mkdir(scratch);
  const sourceUrl = await servers.source.createDatabase(`bench_${tag}`);
  await fill(sourceUrl, rows);
  if (workload.target === 'elasticsearch') {
    const { url } = await servers.elasticsearch();
    return { sourceUrl, target: { kind: 'elasticsearch', url, index: `bench_${tag}` }, scratch, tag };
  }
  const url = await servers.target.createDatabase(`bench_${tag}`);
  await fill(url, workload.preloadTarget ? rows : 0);
  return { sourceUrl, target: { kind: 'postgres', url }, scratch, tag };
}

async function fill(url: string, rows: number): Promise<void> {
  await withClient(url, async (client) => {
    for (const statement of createItem) await client.query(statement);
    if (rows > 0) await client.query(insertRows, [Math.max(1, Math.round(rows))]);
    await client.query('vacuum analyze bench.item');
  });
}

async function removePlace(stage: Stage, place: Place): Promise<void> {
  const { servers } = stage;
  await servers.target.start();
  const database = `bench_${place.tag}`;
  await execute(servers.source.url(), `drop database if exists ${database} with (force)`);
  await execute(servers.target.url(), `drop database if exists ${database} with (force)`);
  if (place.target.kind === 'elasticsearch') {
    await send({ method: 'DELETE', url: `${place.target.url}/${place.target.index}` });
  }
}

function replicaOf(place: Place): Replica {
  return place.target.kind === 'postgres'
    ? new PostgresReplica(place.sourceUrl, place.target.url)
    : new ElasticsearchReplica(place.sourceUrl, place.target);
}

/** A row there and gone again: proves that the contender works before anything is measured, and warms every cache on the way. */
async function passOneRow(place: Place, replica: Replica): Promise<void> {
  const waiting = { deadlineMs: 60_000, pauseMs: 10 };
  await execute(place.sourceUrl, `insert into bench.item (id, info, n) values (-1, 'first', 0)`);
  await until(() => replica.has(-1), { what: 'a first row is at the target', ...waiting });
  await execute(place.sourceUrl, 'delete from bench.item where id = -1');
  await until(async () => !(await replica.has(-1)), { what: 'the first row is gone from the target', ...waiting });
}

/** Writes out what the preparation left, so that no contender pays for another's. */
async function settle(stage: Stage): Promise<void> {
  await execute(stage.servers.source.url(), 'checkpoint');
  await execute(stage.servers.target.url(), 'checkpoint');
}

/** Every workload waits until its rows are there; this makes sure that nothing is missing or too much. */
async function requireEqual(replica: Replica): Promise<void> {
  let difference: string | null = null;
  const isEqual = async (): Promise<boolean> => (difference = await replica.difference()) === null;
  await until(isEqual, { what: 'equality', deadlineMs: 20_000, pauseMs: 200 }).catch((cause: unknown) => {
    throw new PgrepError('no', `rows were lost or differ: ${difference ?? 'unknown'}`, { cause });
  });
}
