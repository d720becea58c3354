/** What a failure means for a link (DESIGN: errors). `row`: the rows of the batch are at fault. */
export type FailureKind = 'transient' | 'configuration' | 'row';

// Node's errno names and the drivers' own codes for a connection that is not, or no longer, there.
const connectionCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENOTFOUND', 'EAI_AGAIN',
  'ECONNABORTED', 'ENOENT', 'CONNECTION_CLOSED', 'CONNECTION_ENDED', 'CONNECTION_DESTROYED', 'CONNECT_TIMEOUT',
]); // prettier-ignore

/** The SQLSTATE (five characters), errno name or driver code of an error; empty when it has none. */
export function sqlState(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** True for a five-character code that a server sent. */
export function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && !connectionCodes.has(code);
}

/**
 * Decides by code alone. Classes: PostgreSQL manual, appendix A.
 * Without any code the error comes from a driver about its connection: transient.
 */
export function failureKind(error: unknown): FailureKind {
  const code = sqlState(error);
  if (!isSqlState(code)) return 'transient';
  if (transientStates.has(code) || transientClasses.has(code.slice(0, 2))) return 'transient';
  if (configurationStates.has(code) || configurationClasses.has(code.slice(0, 2))) return 'configuration';
  return 'row';
}

/** True when a lock could not be had in time, or only by ending a deadlock: it or one of its causes says so. Both pass by themselves. */
export function isLockFailure(error: unknown): boolean {
  if (lockStates.has(sqlState(error))) return true;
  return error instanceof Error && error.cause !== undefined && isLockFailure(error.cause);
}

// lock_not_available (lock_timeout, nowait), deadlock_detected.
const lockStates: ReadonlySet<string> = new Set(['55P03', '40P01']);

// 08 connection, 53 insufficient resources, 57014 a cancelled statement (an operator's, or a timeout): all pass by themselves.
const transientClasses: ReadonlySet<string> = new Set(['08', '53', '58']);
const transientStates: ReadonlySet<string> = new Set([
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '57014',
  '40001',
  '40P01',
  '55P03',
  '25P03',
  '25P04',
]);
// 28 authorisation, 3D no such database, 3F no such schema, 42501 privilege, 42P01/42703 no such table or column: the route does not fit.
const configurationClasses: ReadonlySet<string> = new Set(['28', '3D', '3F']);
const configurationStates: ReadonlySet<string> = new Set(['42501', '42P01', '42703', '25006', '0A000']);
