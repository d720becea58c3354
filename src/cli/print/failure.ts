import { PgrepError, errorCodes } from '../../core/error.ts';
import { createRedactor } from '../../observe/redact.ts';

/** How a failed command is shown, and its exit status. */
export interface Failure {
  readonly text: string;
  readonly status: number;
}

export interface FailureOptions {
  readonly json: boolean;
  /** True at log level debug: causes and stacks are shown. */
  readonly debug: boolean;
  /** Texts that must not be shown. */
  readonly secrets: readonly string[];
  /** Versions of this program and of Node, for reports of bugs. */
  readonly versions: string;
}

/** Words an error that ended a command. Whatever is not a `PgrepError` is a bug of ours. */
export function describeFailure(thrown: unknown, options: FailureOptions): Failure {
  const error = principal(thrown);
  const redactor = createRedactor(options.secrets);
  const status = error instanceof PgrepError ? errorCodes[error.code] : errorCodes.bug;
  if (options.json) return { text: `${redactor.text(JSON.stringify({ error: asJson(error) }))}\n`, status };
  const lines = [
    ...(status === errorCodes.bug ? bugLines(error, options) : userLines(error)),
    ...(options.debug ? causeLines(error) : []),
  ];
  return { text: redactor.text(`${lines.join('\n')}\n`), status };
}

function userLines(error: unknown): string[] {
  if (!(error instanceof PgrepError)) return [];
  return [`pgrep: ${error.message}`, ...(error.hint === undefined ? [] : [`       ${error.hint}`])];
}

function bugLines(error: unknown, { debug, versions }: FailureOptions): string[] {
  const what = error instanceof Error ? (debug ? error.message : (error.stack ?? error.message)) : String(error);
  return [
    'pgrep: This is a bug in pgrep. No committed change is lost by it: what was not delivered is still queued.',
    `       Please report it with the command you typed and these lines (${versions}):`,
    what,
  ];
}

function causeLines(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  return [
    ...(error.stack ?? '').split('\n'),
    ...(error.cause === undefined ? [] : ['caused by', ...causeLines(error.cause)]),
  ];
}

function asJson(error: unknown): { code: string; message: string; hint: string | null } {
  if (error instanceof PgrepError) return { code: error.code, message: error.message, hint: error.hint ?? null };
  return { code: 'bug', message: error instanceof Error ? error.message : String(error), hint: null };
}

/** When closing fails after a failure, the first failure is the one to show. */
function principal(error: unknown): unknown {
  if (error instanceof Error && error.name === 'SuppressedError' && 'suppressed' in error)
    return principal(error.suppressed);
  return error;
}
