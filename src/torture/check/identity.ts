import type { Commit } from './history.ts';

/** Tells versions of one key apart: a row is known by its tag, whatever versions it was given; an absence by its version. */
export function identityOf({ tag, version }: Pick<Commit, 'tag' | 'version'>): string {
  return tag ?? `absent ${version}`;
}

/** The version that a commit found and went on from. */
export function foundBy({ oldTag, seen }: Pick<Commit, 'oldTag' | 'seen'>): string {
  return oldTag ?? `absent ${seen}`;
}
