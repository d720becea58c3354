/**
 * Every failure that pgrep throws: one class, one table of codes.
 *
 * A message says what happened and why it matters; `hint` says what to type next.
 * Neither ever holds a password or a key: build them from names, not from URLs.
 */
export class PgrepError extends Error {
  override readonly name = 'PgrepError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/**
 * The codes, each with the exit status of a command that ends by it (0 done, 1 bug, 2 usage or
 * configuration, 3 the answer is "no", 4 a node cannot be reached, 5 schema version unsafe).
 */
export const errorCodes = {
  /** A state that the code holds to be impossible. */
  bug: 1,
  /** The command line is wrong. */
  usage: 2,
  /** `pgrep.json` is missing, unreadable or says something impossible. */
  config: 2,
  /** A table, column or key is not what the command needs. */
  table: 2,
  /** The role lacks a privilege, or the password is wrong. */
  privilege: 2,
  /** The route cannot be added or changed like this. */
  route: 2,
  /** A target's table or index does not fit the route, or is missing. */
  target: 2,
  /** The source is not the database that the position was taken in. */
  sourceReplaced: 2,
  /** A clock is further ahead than `maxClockSkewMs`. */
  clock: 2,
  /** What was asked for is not so: time ran out, records remain, nodes differ. */
  no: 3,
  /** A node cannot be reached, or the connection broke. */
  unreachable: 4,
  /** The target asks for less load. */
  overloaded: 4,
  /** The schema `pgrep` in a database is newer than this program, or was edited. */
  schema: 5,
} as const satisfies Record<string, 1 | 2 | 3 | 4 | 5>;

export type ErrorCode = keyof typeof errorCodes;
