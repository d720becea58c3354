import type { KeyHistory, RecordedConflict } from './history.ts';
import { foundBy, identityOf } from './identity.ts';

/**
 * Conflicts that were none: one of the two versions came, step by step, from the other, so whoever wrote it had seen the other.
 * What a transaction found absent without a known version ends the way back, and a version that pgrep gave an older row (step f) is new:
 * such conflicts are taken for right. So are those of a row that was written again as it was: its tag does not say which of its versions the
 * other was made of.
 */
export function needlessOf(
  { commits }: KeyHistory,
  conflicts: readonly RecordedConflict[],
): readonly RecordedConflict[] {
  const written = commits.filter(({ kind }) => kind !== 'fresh');
  const found = new Map(written.map((commit) => [identityOf(commit), foundBy(commit)]));
  const versions = new Map(written.map((commit) => [identityOf(commit), commit.version]));
  const again = new Set(written.filter((commit) => identityOf(commit) === foundBy(commit)).map(identityOf));
  return conflicts.filter(({ localTag, localVersion, remoteTag, remoteVersion }) => {
    const local = identityOf({ tag: localTag, version: localVersion });
    const remote = identityOf({ tag: remoteTag, version: remoteVersion });
    if (versions.get(local) !== localVersion || versions.get(remote) !== remoteVersion) return false;
    if (again.has(local) || again.has(remote)) return false;
    return local !== remote && (comesFrom(found, local, remote) || comesFrom(found, remote, local));
  });
}

function comesFrom(found: ReadonlyMap<string, string>, later: string, earlier: string): boolean {
  const met = new Set<string>();
  for (let at = found.get(later); at !== undefined && !met.has(at); at = found.get(at)) {
    if (at === earlier) return true;
    met.add(at);
  }
  return false;
}
