import { differencesOf } from './equal.ts';
import { discardedOf, unrecordedOf } from './discarded.ts';
import { historiesOf, type Commit, type KeyHistory, type RecordedConflict } from './history.ts';
import type { Kept } from './read-node.ts';
import type { RowsByNode } from './settle.ts';
import { needlessOf } from './needless.ts';
import { endsRight } from './winner.ts';

/** All that is known when a run has ended. */
export interface Evidence {
  readonly rows: RowsByNode;
  /** Links that had not brought everything when the time for it was over; null: none. */
  readonly behind: string | null;
  readonly kept: readonly Kept[];
  readonly log: readonly Commit[];
  readonly conflicts: readonly RecordedConflict[];
  /** Replayers that ended by themselves, and by what. */
  readonly ended: readonly string[];
}

/** Something that must not be. */
export interface Finding {
  readonly check: 'drained' | 'equal' | 'held' | 'winner' | 'recorded' | 'needless' | 'emptied' | 'replayer';
  readonly message: string;
  /** The key in question, where there is one. */
  readonly at: { readonly table: string; readonly key: string } | null;
}

/** The gravest first: where nodes differ, the rest follows from it. */
const gravity: readonly Finding['check'][] = ['equal', 'winner', 'recorded', 'needless', 'drained', 'held', 'replayer', 'emptied']; // prettier-ignore

/** The verdict, with how much there was to judge. */
export interface Judgement {
  readonly findings: readonly Finding[];
  readonly keys: number;
  readonly versions: number;
  readonly conflicts: number;
  /** Versions that lost to a concurrent one, as far as the log can tell. */
  readonly discarded: number;
  /** Conflicts between a version and one that was made of it; those of one TRUNCATE, or of the same two statements, count once at a node. Findings if they are many. */
  readonly superseded: number;
}

/**
 * Of all conflicts this part may be superseded: docs/two-way.md says when a version looks concurrent with one that was made of it. More of
 * them mean that what has been seen is not told.
 */
const supersededPart = 1 / 20;

/** Judges a run. Pure. */
export function judge(evidence: Evidence): Judgement {
  const { rows, log, conflicts, ended } = evidence;
  const [first = []] = rows.values();
  const tags = new Map(first.map(({ table, key, tag }) => [`${table} ${key}`, tag]));
  const conflictsByKey = grouped(conflicts);
  const judged = historiesOf(log, first).map((history) => {
    const name = `${history.table} ${history.key}`;
    return judgeKey(history, tags.get(name) ?? null, conflictsByKey.get(name) ?? []);
  });
  const needless = judged.flatMap((each) => each.needless);
  const superseded = new Set(needless.map(({ cause }) => cause)).size;
  const findings: readonly Finding[] = [
    ...ended.map((name) => ({ check: 'replayer' as const, message: `Replayer ${name} ended by itself; see its log.`, at: null })), // prettier-ignore
    ...judgeRest(evidence),
    ...differencesOf(rows).map(({ table, key, rows: found }) => ({ check: 'equal' as const, message: [...found].map(([node, row]) => `${node}: ${row ?? 'nothing'}`).join('; '), at: { table, key } })), // prettier-ignore
    ...judged.flatMap((each) => each.findings),
    ...(superseded > conflicts.length * supersededPart ? needless.map(({ finding }) => finding) : []),
  ];
  return {
    findings: findings.toSorted((one, other) => gravity.indexOf(one.check) - gravity.indexOf(other.check)),
    keys: judged.length,
    versions: log.length,
    conflicts: conflicts.length,
    discarded: judged.reduce((sum, { discarded }) => sum + discarded, 0),
    superseded,
  };
}

interface Needless {
  readonly finding: Finding;
  readonly cause: string;
}

/** Of a statement over many keys that looks concurrent a node records a conflict for each: they have its version in common, a TRUNCATE's with whatever was there. */
function causeOf({ node, localTag, localVersion, remoteTag, remoteVersion }: RecordedConflict): string {
  if (localTag === null) return `${node} ${localVersion}`;
  return remoteTag === null ? `${node} ${remoteVersion}` : `${node} ${localVersion} ${remoteVersion}`;
}

function judgeKey(
  history: KeyHistory,
  tag: string | null,
  conflicts: readonly RecordedConflict[],
): { readonly findings: readonly Finding[]; readonly needless: readonly Needless[]; readonly discarded: number } {
  const { table, key, commits } = history;
  const at = { table, key };
  const highest = commits.filter(({ lost }) => !lost).at(-1);
  const wrong: Finding = { check: 'winner', message: `The key ended with ${show(tag)}, but the highest version, ${String(highest?.version)} of node ${String(highest?.node)}, is ${show(highest?.tag ?? null)}.`, at }; // prettier-ignore
  const discarded = discardedOf(history, tag);
  const unrecorded = unrecordedOf(discarded, conflicts).map((commit): Finding => ({ check: 'recorded', message: `Version ${commit.version} of node ${commit.node}, ${show(commit.tag)}, lost to a concurrent one and is in no conflict.`, at })); // prettier-ignore
  const needless = needlessOf(history, conflicts).map((conflict): Needless => ({ cause: causeOf(conflict), finding: { check: 'needless', message: `Node ${conflict.node} recorded a conflict of ${conflict.localVersion}, ${show(conflict.localTag)}, with ${conflict.remoteVersion}, ${show(conflict.remoteTag)}, of which one had seen the other.`, at } })); // prettier-ignore
  const findings = [...(endsRight(history, tag) ? [] : [wrong]), ...unrecorded];
  return { findings, needless, discarded: discarded.length };
}

function judgeRest({ behind, kept }: Evidence): readonly Finding[] {
  const late: Finding = { check: 'drained', message: `These links did not bring everything in time: ${String(behind)}.`, at: null }; // prettier-ignore
  const left = kept.flatMap(({ node, queued, versions, held }): readonly Finding[] => [
    ...(held > 0
      ? [{ check: 'held' as const, message: `Node ${node} holds ${held} rows in sync_err_rec.`, at: null }]
      : []),
    ...(queued + versions > 0 ? [{ check: 'emptied' as const, message: `Node ${node} keeps ${queued} queue rows and ${versions} row versions, though all is quiet.`, at: null }] : []), // prettier-ignore
  ]);
  return [...(behind === null ? [] : [late]), ...left];
}

function show(tag: string | null): string {
  return tag === null ? 'absence' : `row ${tag}`;
}

function grouped(conflicts: readonly RecordedConflict[]): ReadonlyMap<string, readonly RecordedConflict[]> {
  const byKey = new Map<string, RecordedConflict[]>();
  for (const conflict of conflicts) {
    const name = `${conflict.table} ${conflict.key}`;
    const list = byKey.get(name);
    if (list === undefined) byKey.set(name, [conflict]);
    else list.push(conflict);
  }
  return byKey;
}
