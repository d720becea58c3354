import { describe, expect, test } from 'vitest';
import { failureKind, isSqlState, sqlState } from '../../src/db/sqlstate.ts';
import { isRowError, mayBeStatement } from '../../src/targets/postgres/savepoint.ts';

const failure = (code: string): Error => Object.assign(new Error('text never decides'), { code });

describe('what an error means is decided by its code alone', () => {
  test.for([
    ['08006', 'transient', 'connection failure'],
    ['08P01', 'transient', 'protocol violation'],
    ['53100', 'transient', 'disk full'],
    ['53300', 'transient', 'too many connections'],
    ['57014', 'transient', 'cancelled'],
    ['57P01', 'transient', 'administrator shut the server down'],
    ['57P02', 'transient', 'crash'],
    ['57P03', 'transient', 'starting up'],
    ['40001', 'transient', 'serialization failure'],
    ['40P01', 'transient', 'deadlock'],
    ['55P03', 'transient', 'lock not available'],
    ['58030', 'transient', 'I/O error'],
    ['ECONNREFUSED', 'transient', 'nobody listens'],
    ['EPIPE', 'transient', 'five letters, but an errno'],
    ['CONNECTION_CLOSED', 'transient', "a driver's own"],
    ['', 'transient', 'none at all'],
    ['28P01', 'configuration', 'wrong password'],
    ['28000', 'configuration', 'may not log in'],
    ['3D000', 'configuration', 'no such database'],
    ['42501', 'configuration', 'privilege'],
    ['25006', 'configuration', 'read-only: a standby'],
    ['42P01', 'configuration', 'no such table'],
    ['22001', 'row', 'too long'],
    ['22P02', 'row', 'not a value of the type'],
    ['22003', 'row', 'out of range'],
    ['23502', 'row', 'null'],
    ['23503', 'row', 'parent missing'],
    ['23505', 'row', 'duplicate'],
    ['23514', 'row', 'check'],
    ['23P01', 'row', 'exclusion'],
    ['P0001', 'row', "a trigger's exception"],
    ['44000', 'row', 'with check option'],
    ['54000', 'row', 'row too big for its index'],
  ] as const)('%s is %s: %s', ([code, kind]) => {
    expect(failureKind(failure(code))).toBe(kind);
  });

  test('errors without a code, and things that are no errors, are transient', () => {
    expect(failureKind(new Error('duplicate key value'))).toBe('transient');
    expect(failureKind(undefined)).toBe('transient');
    expect(sqlState({ code: 5 })).toBe('');
    expect(isSqlState('EPIPE')).toBe(false);
  });

  test.for([
    ['23505', true, false],
    ['42P01', true, true],
    ['42804', true, true],
    ['3F000', true, true],
    ['42501', false, false],
    ['40001', false, false],
    ['28000', false, false],
    ['ECONNRESET', false, false],
  ] as const)('%s at a target may be a row (%s) or the statement (%s)', ([code, row, statement]) => {
    expect([isRowError(failure(code)), mayBeStatement(failure(code))]).toEqual([row, statement]);
  });
});
