import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ordinaryUser } from '../../scripts/cache.mjs';

/** Folders of stopped servers that wait for the verdict of their test file. */
let waiting: string[] | undefined;

/** A new temporary folder that belongs to the ordinary user the servers run as. */
export function serverFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `pgrep-${name}-`));
  const user = ordinaryUser();
  if (user) chownSync(folder, user.uid, user.gid);
  return folder;
}

/** Removes a server's folder: at once, or after `deferRemoval` when the test file has ended well. */
export function removeFolder(folder: string): void {
  if (waiting) waiting.push(folder);
  else rmSync(folder, { recursive: true, force: true });
}

/** From now on folders are kept until `settleFolders` knows whether the tests passed. */
export function deferRemoval(): void {
  waiting ??= [];
}

/** Removes what waits, or keeps it (data and logs) and returns it when a test failed. */
export function settleFolders(failed: boolean): readonly string[] {
  const folders = waiting?.filter((folder) => existsSync(folder)) ?? [];
  waiting = [];
  if (failed) return folders;
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  return [];
}
