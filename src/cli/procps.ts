import { PgrepError } from '../core/error.ts';

/** procps has no option letter h; V and v of procps are refused rather than taken for something else. */
const oursShort = /^-h$/;

/** Long options of procps' pgrep and pkill that ours does not have. */
const procpsLong = new Set(
  (
    'count delimiter list-name list-full inverse lightweight pgroup group parent session terminal exact full ' +
    'newest oldest older ignore-case euid uid pidfile logpidfile runstates ns nslist cgroup signal ignore-ancestors'
  )
    .split(' ')
    .map((name) => `--${name}`),
);

/**
 * True for arguments that were meant for the system's `pgrep`, which finds processes: they begin with one of
 * its options.
 */
export function looksLikeProcps(args: readonly string[]): boolean {
  const [first] = args;
  if (first === undefined) return false;
  if (/^-[A-Za-z]/.test(first)) return !oursShort.test(first);
  return procpsLong.has(first.split('=')[0] ?? '');
}

/** Says which of the two programs of this name was called. */
export function procpsError(): PgrepError {
  return new PgrepError(
    'usage',
    'This pgrep replicates tables between databases; it is not the one that looks for processes.',
    {
      hint: 'To find processes call /usr/bin/pgrep. This one is also installed as pg-rep; its commands: pg-rep --help.',
    },
  );
}
