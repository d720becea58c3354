import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

/** One file of `sql/`: `name` without folder, `checksum` sha256 of the text in hexadecimal. */
export interface SqlFile {
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

// The same from src/db (development) and dist/db (installed): the package's own sql folder.
const folder = new URL('../../sql/', import.meta.url);

/** Migrations in the order in which they are applied; names are `NNNN_what.sql`. */
export function migrationFiles(): readonly SqlFile[] {
  return sqlFiles('migrations/');
}

/** Routines, each file one `create or replace function`; they may be applied again at any time. */
export function routineFiles(): readonly SqlFile[] {
  return sqlFiles('routines/');
}

function sqlFiles(kind: string): readonly SqlFile[] {
  const directory = new URL(kind, folder);
  return readdirSync(directory)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => {
      const text = readFileSync(new URL(name, directory), 'utf8');
      return { name, text, checksum: createHash('sha256').update(text).digest('hex') };
    });
}
