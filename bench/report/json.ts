import { mkdir, stat, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem, type } from 'node:os';
import { dirname, join } from 'node:path';
import type { Options } from '../options.ts';
import type { Measurement } from '../run-trial.ts';
import { elasticsearchHeap, postgresSettings } from '../servers.ts';
import { judge } from './summary.ts';

/** What the file of a run holds besides its measurements. */
export interface RunFacts {
  readonly startedAt: Date;
  readonly postgresVersion: string;
  readonly loadGenerator: string;
  readonly options: Options;
}

/** Writes all measurements, the machine, the settings and the verdicts; gives the file's path. */
export async function writeJson(out: string, facts: RunFacts, measurements: readonly Measurement[]): Promise<string> {
  const time = facts.startedAt.toISOString().replaceAll(':', '').slice(0, 17);
  const path = (await isFile(out)) ? out : join(out, `${time}.local.json`);
  const [cpu] = cpus();
  const content = {
    startedAt: facts.startedAt.toISOString(),
    machine: {
      cores: cpus().length,
      cpu: cpu?.model ?? 'unknown',
      memoryGb: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()}`,
      node: process.version,
    },
    postgres: { version: facts.postgresVersion, settings: postgresSettings },
    elasticsearch: { heap: elasticsearchHeap },
    loadGenerator: facts.loadGenerator,
    options: facts.options,
    aims: judge(measurements),
    measurements,
  };
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(content, null, 2)}\n`);
  return path;
}

/** A name that ends in `.json` is a file's, unless a folder has it. */
async function isFile(out: string): Promise<boolean> {
  const folder = await stat(out).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return !folder && out.endsWith('.json');
}
