import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PgrepError, errorCodes } from '../src/core/error.ts';
import { closeConnections } from './elasticsearch-http.ts';
import { hasPgbench, pgbench } from './load/pgbench.ts';
import { nodeLoad } from './load/node-load.ts';
import { parseOptions, usage, type Options } from './options.ts';
import { writeJson } from './report/json.ts';
import { reportText } from './report/text.ts';
import { runTrial, type Measurement, type Stage } from './run-trial.ts';
import { schedule, type Appointment } from './schedule.ts';
import { Servers } from './servers.ts';
import { withClient } from './sql.ts';
import { workloads } from './workloads/all.ts';

/** The benchmark: results on stdout, progress on stderr; exit status 3 when a trial failed; a missed aim is only shown. */

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    say(process.stdout, usage);
    return 0;
  }
  const stopping = new AbortController();
  process.once('SIGINT', () => {
    say(process.stderr, 'stopping after this trial; once more to stop now');
    stopping.abort();
  });
  // A daemon under test is ended by our exit, and a signal that is not heard would skip that.
  process.once('SIGTERM', () => process.exit(143));
  const startedAt = new Date();
  const load = (options.load ?? ((await hasPgbench()) ? 'pgbench' : 'node')) === 'pgbench' ? pgbench : nodeLoad;
  await using servers = await Servers.start();
  const scratch = await mkdtemp(join(tmpdir(), 'pgrep-bench-'));
  const postgresVersion = await versionOf(servers.source.url());
  say(process.stderr, `PostgreSQL ${postgresVersion}, load by ${load.name}; files in ${scratch}`);
  const measurements = await runAll({ servers, load, scale: options.scale, scratch }, options, stopping.signal);
  const facts = { startedAt, postgresVersion, loadGenerator: load.name, options };
  const path = await writeJson(options.out, facts, measurements);
  say(process.stdout, `\n${reportText(workloads, measurements)}\n\nWritten to ${path}`);
  closeConnections();
  const failed = measurements.some((one) => one.failed !== null);
  if (!failed) await rm(scratch, { recursive: true });
  return failed ? errorCodes.no : 0;
}

async function runAll(stage: Stage, options: Options, stop: AbortSignal): Promise<Measurement[]> {
  const appointments = schedule(workloads, options);
  const measurements: Measurement[] = [];
  for (const [at, appointment] of appointments.entries()) {
    if (stop.aborted) break;
    process.stderr.write(`${progress(at + 1, appointments.length, appointment)} … `);
    const measurement = await runTrial(stage, appointment, at + 1);
    measurements.push(measurement);
    say(process.stderr, figuresText(measurement));
  }
  return measurements;
}

function progress(at: number, of: number, { workload, contender, round }: Appointment): string {
  const count = `[${String(at).padStart(String(of).length)}/${of}]`;
  return `${count} ${workload.name.padEnd(7)} round ${round} ${contender.name.padEnd(9)}`;
}

function figuresText({ figures, failed }: Measurement): string {
  if (failed !== null) return `FAILED: ${failed}`;
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 1 : 0 })}`)
    .join(', ');
}

function versionOf(url: string): Promise<string> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return rows[0]?.server_version ?? 'unknown';
  });
}

function say(stream: NodeJS.WritableStream, text: string): void {
  stream.write(`${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof PgrepError)) throw error;
  say(process.stderr, error.hint === undefined ? error.message : `${error.message}\n${error.hint}`);
  process.exitCode = errorCodes[error.code];
}
