import { describe, expect, test } from 'vitest';
import { describeFailure } from '../../src/cli/print/failure.ts';
import { errorCodes, PgrepError } from '../../src/core/error.ts';
import type { ErrorCode } from '../../src/core/error.ts';

const quiet = { json: false, debug: false, secrets: ['geheim'], versions: 'pgrep 1, Node 20' };
const unreachable = new PgrepError('unreachable', 'remote cannot be reached.', {
  hint: 'Is it running?',
  cause: new Error('connect ECONNREFUSED with geheim'),
});

describe('a command that fails', () => {
  test.each(Object.keys(errorCodes) as ErrorCode[])('ends with the status of its code %s', (code) => {
    expect(describeFailure(new PgrepError(code, 'x'), quiet).status).toBe(errorCodes[code]);
  });

  test('says what happened and what to type, and keeps causes for --log-level debug', () => {
    expect(describeFailure(unreachable, quiet).text).toBe('pgrep: remote cannot be reached.\n       Is it running?\n');
    const debug = describeFailure(unreachable, { ...quiet, debug: true }).text;
    expect(debug).toContain('connect ECONNREFUSED with [secret]');
    expect(debug).not.toContain('geheim');
  });

  test('prints an object with --json', () => {
    const { text } = describeFailure(unreachable, { ...quiet, json: true });
    expect(JSON.parse(text)).toEqual({
      error: { code: 'unreachable', message: 'remote cannot be reached.', hint: 'Is it running?' },
    });
  });

  test('by anything but a PgrepError ends with status 1, calls it a bug and says how to report it', () => {
    const { text, status } = describeFailure(new TypeError('x is not a function'), quiet);
    expect(status).toBe(1);
    expect(text).toMatch(
      /This is a bug in pgrep[^]*report it[^]*pgrep 1, Node 20[^]*TypeError: x is not a function\n +at /,
    );
  });

  test('shows the first failure when closing failed after it', () => {
    const both = Object.assign(new Error('closing'), { name: 'SuppressedError', suppressed: unreachable });
    expect(describeFailure(both, quiet).status).toBe(errorCodes.unreachable);
  });
});
