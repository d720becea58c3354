import type { Commit, KeyHistory } from './history.ts';

/**
 * The commit that a key must end with: the highest version that any surviving node committed, or one of a forgotten node that is
 * higher still, if that is what is there. Null: none of them left what is there (`tag`; null: the key is absent).
 */
export function winnerOf({ commits }: KeyHistory, tag: string | null): Commit | null {
  const highest = commits.filter(({ lost }) => !lost).at(-1);
  const allowed = commits.filter((commit) => commit === highest || (commit.lost && isAbove(commit, highest)));
  return allowed.findLast((commit) => commit.tag === tag) ?? null;
}

/** True when a key that nobody ever wrote is absent, or its end is one that `winnerOf` accepts. */
export function endsRight(history: KeyHistory, tag: string | null): boolean {
  if (!history.commits.some(({ lost }) => !lost) && tag === null) return true;
  return winnerOf(history, tag) !== null;
}

function isAbove(commit: Commit, other: Commit | undefined): boolean {
  return other === undefined || commit.version > other.version;
}
