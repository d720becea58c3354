import { PgrepError, type ErrorCode } from '../../core/error.ts';
import { postgresNode, type App } from '../open.ts';
import { captureCheck } from './capture.ts';
import { clockCheck } from './clock.ts';
import { deferrableCheck } from './deferrable.ts';
import { examine, type Examination, type NodeTrouble } from './examination.ts';
import { asFinding, type Check, type Finding } from './finding.ts';
import { foreignKeyCheck } from './foreign-key.ts';
import { keyCheck } from './key.ts';
import { linkCheck } from './link.ts';
import { replicaRoleCheck } from './replica-role.ts';
import { sequenceCheck } from './sequence.ts';
import { triggerCheck } from './trigger.ts';
import { twoWayCheck } from './two-way.ts';
import { uniqueCheck } from './unique.ts';

const checks: readonly Check[] = [
  clockCheck,
  captureCheck,
  keyCheck,
  twoWayCheck,
  uniqueCheck,
  sequenceCheck,
  deferrableCheck,
  triggerCheck,
  replicaRoleCheck,
  foreignKeyCheck,
  linkCheck,
];

export interface DoctorResult {
  /** By check, then by node: what is wrong, and `ok` for each check at each node where nothing is. */
  readonly findings: readonly Finding[];
  /** `schema`, `unreachable` or `no` where there are errors: the gravest, as the exit status tells it. Null: no errors. */
  readonly verdict: ErrorCode | null;
}

/** Looks for what will or may go wrong, at all Postgres nodes or as far as it is about one. Changes nothing. */
export async function runDoctor(app: App, options: { node?: string }, signal: AbortSignal): Promise<DoctorResult> {
  if (options.node !== undefined) postgresNode(app.config, options.node);
  const { examination, troubles } = await examine(app);
  const findings: Finding[] = [...troublesOf(examination, troubles)];
  const codes = troubles
    .filter(({ level, node }) => level === 'error' && (options.node === undefined || node === options.node))
    .map(({ code }) => code);
  for (const check of checks) {
    signal.throwIfAborted();
    const ran = await runCheck(check, examination);
    findings.push(...ran.findings);
    if (ran.failed !== null) codes.push(ran.failed);
  }
  const about = findings.filter(({ node }) => options.node === undefined || node === options.node);
  return { findings: about, verdict: verdictOf(about, codes) };
}

/** The gravest of what was found, see `DoctorResult`. */
function verdictOf(findings: readonly Finding[], codes: readonly ErrorCode[]): ErrorCode | null {
  if (codes.includes('schema')) return 'schema';
  if (codes.includes('unreachable')) return 'unreachable';
  return findings.some(({ level }) => level === 'error') ? 'no' : null;
}

function troublesOf({ nodes }: Examination, troubles: readonly NodeTrouble[]): readonly Finding[] {
  const found = troubles.map((trouble) => asFinding(trouble.check, trouble));
  const fine = (check: string, node: string): boolean =>
    !found.some((each) => each.check === check && each.node === node);
  const good = [...nodes.keys()].flatMap((node) => [
    ok('connection', node, 'It answers.'),
    ...(fine('schema', node) ? [ok('schema', node, 'Its schema pgrep is of this version.')] : []),
  ]);
  return [...found, ...good];
}

/** What a check found; `failed`: why it could not look, null: it could. */
interface CheckRun {
  readonly findings: readonly Finding[];
  readonly failed: ErrorCode | null;
}

async function runCheck(check: Check, examination: Examination): Promise<CheckRun> {
  const names = [...examination.nodes.keys()];
  try {
    const found = (await check.run(examination)).map((each) => asFinding(check.name, each));
    const fine = names.filter((node) => !found.some((each) => each.node === node));
    return { findings: [...found, ...fine.map((node) => ok(check.name, node, check.fine))], failed: null };
  } catch (error) {
    if (!(error instanceof PgrepError) || error.code === 'bug') throw error;
    // What one check cannot read is no reason to keep quiet about the others.
    const failed = { level: 'error', table: null, message: `Could not be checked: ${error.message}`, advice: error.hint ?? '' } as const; // prettier-ignore
    return { findings: names.map((node) => asFinding(check.name, { ...failed, node })), failed: error.code };
  }
}

function ok(check: string, node: string, message: string): Finding {
  return { level: 'ok', check, node, table: null, message, advice: null };
}
