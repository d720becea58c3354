import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/config/secret.ts';
import { createLogger } from '../../src/observe/logger.ts';
import type { LogLevel } from '../../src/observe/logger.ts';

/** What a logger writes while `work` uses it. */
function written(
  work: (logger: ReturnType<typeof createLogger>) => void,
  options: { level?: LogLevel; pretty?: boolean } = {},
): string {
  const lines: string[] = [];
  work(
    createLogger({
      level: options.level ?? 'debug',
      pretty: options.pretty ?? false,
      colour: false,
      secrets: ['geheim-77', 'p@ss word'],
      write: (line) => lines.push(line),
    }),
  );
  return lines.join('');
}

/** The errors of drivers: the secret in a message, in a cause and in properties that drivers hang on. */
function driverError(): Error {
  const cause = Object.assign(new Error('connect to postgres://app:other@db/shop with password=third failed'), {
    code: '28P01',
    client: { connectionParameters: { password: 'geheim-77' } },
    meta: { headers: { authorization: 'ApiKey Zm9vYmFyYmF6' } },
  });
  return new Error('no connection with geheim-77', { cause });
}

describe.each([{ pretty: false }, { pretty: true }])('logging with %o', (options) => {
  test('shows no secret of messages, fields, errors and their causes', () => {
    const text = written((logger) => {
      logger
        .child({ url: 'http://elastic:geheim-77@es' })
        .error({ error: driverError(), key: new Secret('x-secret') }, 'geheim-77 failed');
      logger.info(
        { encoded: 'p%40ss%20word', nested: { deep: ['p@ss word'], apiKey: 'fourth' } },
        'Authorization: Basic Zm9vOmJhcg==',
      );
    }, options);
    expect(text).not.toMatch(/geheim-77|other|third|fourth|x-secret|p@ss|p%40ss|Zm9v/);
    expect(text).toContain('no connection with [secret]');
    expect(text).toContain('28P01');
  });

  test('says nothing below its level', () => {
    expect(written((logger) => logger.info({}, 'hello'), { ...options, level: 'warn' })).toBe('');
  });
});

describe('a JSON log line', () => {
  test('has level, time, the fields of its parents and bigints as text', () => {
    const line = written((logger) => logger.child({ link: 'a->b' }).info({ keys: 12n }, 'applied'));
    expect(JSON.parse(line)).toEqual({
      level: 'info',
      time: expect.any(String) as string,
      link: 'a->b',
      keys: '12',
      msg: 'applied',
    });
  });

  test('ends at a cycle', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    expect(written((logger) => logger.info({ cycle }, 'round'))).toContain('"msg":"round"');
  });
});

describe('a line for people', () => {
  test('is short and has the causes of an error below it', () => {
    const error = new Error('batch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) });
    const text = written((logger) => logger.warn({ link: 'a->b', error }, 'retrying'), { pretty: true });
    expect(text.slice(9)).toBe(
      'warn  retrying  link=a->b\n         Error: batch failed\n         Error: refused (ECONNREFUSED)\n',
    );
  });
});
