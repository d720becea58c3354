/**
 * Settings that every pgrep session runs with, so that a value's text form is the same at both ends,
 * whatever the database or role sets, and so that no setting of the application's gets in the way.
 */
export const pinnedSettings: Readonly<Record<string, string>> = {
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  bytea_output: 'hex',
  // 3 is the value that every version takes as "shortest exact text".
  extra_float_digits: '3',
  lc_monetary: 'C',
  xmloption: 'content',
  array_nulls: 'on',
  // A role that a policy hides rows from must fail: rows that it cannot see would count as deleted.
  row_security: 'off',
  client_encoding: 'UTF8',
  // Compiling a plan costs more than any batch gains (tens of ms for a one-row batch).
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  work_mem: '64MB',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // A dead peer is noticed after about 25 s instead of two hours, so that its locks are released.
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
};

/** The settings as the `options` startup parameter: they cost no round trip. */
export const pinnedOptions = Object.entries(pinnedSettings)
  .filter(([name]) => name !== 'client_encoding')
  .map(([name, value]) => `-c ${name}=${value.replaceAll('\\', '\\\\').replaceAll(' ', '\\ ')}`)
  .join(' ');
