import type { Commit, KeyHistory, RecordedConflict } from './history.ts';
import { foundBy, identityOf } from './identity.ts';
import { winnerOf } from './winner.ts';

/**
 * Versions of a key that lost to a concurrent one, as far as the log can tell: they are not what the key ended with, and no
 * transaction found them and went on from there. So the first node on which such a version met its winner met it as a conflict.
 *
 * Left out, because nobody can tell from outside:
 * - versions of a forgotten node, which perhaps nobody received, and TRUNCATE, which discards nothing of its own;
 * - a deletion beside a newer one (two equal ends are agreement), also a TRUNCATE after which the same transaction wrote the row again, which may come later, or before a newer write that found the key absent with no version as new
 *   as that (it may have seen the deletion, since pruned), or before a fresh version or a write that found a row below the deletion (step f puts
 *   a row that was inserted while its delete arrived above that; a write that comes first does so itself).
 */
export function discardedOf(history: KeyHistory, finalTag: string | null): readonly Commit[] {
  const { commits, emptied } = history;
  const winner = winnerOf(history, finalTag);
  const continued = new Set(commits.filter(({ kind }) => kind !== 'fresh').map(foundBy));
  return newestOfEach(commits).filter((commit) => {
    if (commit.lost || commit.kind === 'initial' || commit.kind === 'truncate') return false;
    if (winner !== null && identityOf(commit) === identityOf(winner)) return false;
    if (continued.has(identityOf(commit))) return false;
    if (commit.tag !== null) return true;
    const agreed = emptied.some((version) => version > commit.version);
    return !agreed && !commits.some((other) => other.version > commit.version && mayHaveSeen(other, commit));
  });
}

/** Those of `discardedOf` that no conflict keeps: a row by its tag, a deletion by its version. */
export function unrecordedOf(discarded: readonly Commit[], conflicts: readonly RecordedConflict[]): readonly Commit[] {
  return discarded.filter(({ tag, version }) => !conflicts.some((conflict) => keeps(conflict, tag, version)));
}

function keeps(conflict: RecordedConflict, tag: string | null, version: bigint): boolean {
  if (tag !== null) return conflict.localTag === tag || conflict.remoteTag === tag;
  return (
    (conflict.localTag === null && conflict.localVersion === version) ||
    (conflict.remoteTag === null && conflict.remoteVersion === version)
  );
}

/** Of a pruned tombstone nothing is left, or something older: the floor of a TRUNCATE, or what a node that heard of the deletion late still said. */
function mayHaveSeen({ kind, tag, oldTag, seen }: Commit, deletion: Commit): boolean {
  return tag === null || kind === 'fresh' || (oldTag === null ? seen < deletion.version : seen === deletion.version);
}

/** Of commits with one identity the last: a row that got a fresh version is one row. Of equal versions only the last was ever seen. */
function newestOfEach(commits: readonly Commit[]): readonly Commit[] {
  const newest = new Map(commits.map((commit) => [identityOf(commit), commit]));
  return [...newest.values()];
}
