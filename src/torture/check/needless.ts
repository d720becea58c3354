import type { KeyHistory, RecordedConflict } from './history.ts';
import { foundBy, identityOf } from './identity.ts';

/**
 * Conflicts that were none: one of the two versions came, step by step, from the other, so whoever wrote it had seen the other.
 * What a transaction found absent without a known version ends the way back: such conflicts are taken for right.
 */
export function needlessOf(
  { commits }: KeyHistory,
  conflicts: readonly RecordedConflict[],
): readonly RecordedConflict[] {
  const found = new Map(commits.filter(({ kind }) => kind !== 'fresh').map((commit) => [identityOf(commit), foundBy(commit)])); // prettier-ignore
  return conflicts.filter(({ localTag, localVersion, remoteTag, remoteVersion }) => {
    const local = identityOf({ tag: localTag, version: localVersion });
    const remote = identityOf({ tag: remoteTag, version: remoteVersion });
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
