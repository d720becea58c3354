/**
 * Where pgrep's own tests and demo keep what they fetched, and who runs their servers.
 * Node built-ins only: set-up runs this before anything is installed.
 */
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** True where servers must be started as somebody else: Postgres and Elasticsearch refuse to run as root. */
export const isRoot = process.getuid?.() === 0;

/**
 * The folder for fetched servers, never inside the tree. `PGREP_CACHE` wins. Root's is not in its home,
 * because the ordinary user that runs the servers cannot look in there.
 */
export function cacheFolder() {
  if (process.env['PGREP_CACHE']) return process.env['PGREP_CACHE'];
  if (isRoot) return '/var/cache/pgrep';
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'pgrep');
}

/** The ids to run servers with when we are root (those of `nobody`), else undefined: ourselves. */
export function ordinaryUser() {
  if (!isRoot) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'));
  const [, , uid, gid] = (line ?? 'nobody::65534:65534').split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** A new folder in the cache to build in before it is renamed; all in it will be readable by the ordinary user. */
export function draftFolder() {
  process.umask(0o022);
  mkdirSync(cacheFolder(), { recursive: true });
  return mkdtempSync(join(cacheFolder(), 'draft-'));
}
