import { inspect } from 'node:util';

const shown = '[secret]';

/** Shorter secrets are left to the patterns below: replacing every "a" would ruin the log and tell the secret. */
const shortestReplaced = 4;

/**
 * What drivers are known to put into messages: user and password of a URL, libpq and JDBC style
 * `password=…`, and the values of Authorization headers.
 */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:@/?#"']*):[^\s@/"']+@/gi, `$1:${shown}@`],
  [/\b(password|passwd|pwd|api_?key|secret|token)(\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,;)]+)/gi, `$1$2${shown}`],
  [/\b(Basic|Bearer|ApiKey)\s+[A-Za-z0-9+/=._~-]{6,}/g, `$1 ${shown}`],
];

/** Field names whose values are never shown, whatever they hold. */
const secretFields = /^(password|passwd|pwd|api_?key|secret|token|authorization|postgres|connectionString)$/i;

/** Nested deeper than this, a value is shown as `…`: logs are for people, and a cycle must end. */
const deepest = 6;

/** Cleans texts and log fields of secrets. */
export interface Redactor {
  text(text: string): string;
  /** A plain copy for JSON: errors as objects with their causes, bigints as text, secrets as `[secret]`. */
  value(value: unknown): unknown;
}

/** A redactor that knows these secrets literally (also percent-encoded), besides what looks like one. */
export function createRedactor(secrets: readonly string[]): Redactor {
  const literal = secrets
    .flatMap((secret) => [secret, encodeURIComponent(secret)])
    .filter((secret) => secret.length >= shortestReplaced)
    .toSorted((left, right) => right.length - left.length);
  const text = (raw: string): string => {
    const known = literal.reduce((cleaned, secret) => cleaned.replaceAll(secret, shown), raw);
    return patterns.reduce((cleaned, [pattern, by]) => cleaned.replace(pattern, by), known);
  };
  return { text, value: (value) => plain(value, text, 0) };
}

function plain(value: unknown, text: (raw: string) => string, depth: number): unknown {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  if (depth > deepest) return '…';
  if (value instanceof Error) return plainError(value, text, depth);
  if (value instanceof Date) return value;
  if (value instanceof Map) return plain(Object.fromEntries(value), text, depth + 1);
  if (Array.isArray(value) || value instanceof Set) return Array.from(value, (item) => plain(item, text, depth + 1));
  if ('toJSON' in value || inspect.custom in value) return text(inspect(value));
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      secretFields.test(key) && entry !== undefined ? shown : plain(entry, text, depth + 1),
    ]),
  );
}

/** Drivers hang connections, requests and headers on their errors: only what is known to be harmless is kept. */
const keptOfErrors = [
  'code',
  'hint',
  'severity',
  'detail',
  'where',
  'schema',
  'table',
  'column',
  'constraint',
  'errno',
  'syscall',
  'address',
  'port',
  'statusCode',
];

function plainError(error: Error, text: (raw: string) => string, depth: number): unknown {
  const own = error as unknown as Readonly<Record<string, unknown>>;
  const kept = keptOfErrors.flatMap((key) =>
    typeof own[key] === 'string' || typeof own[key] === 'number' ? [[key, plain(own[key], text, depth)]] : [],
  );
  return {
    name: error.name,
    message: text(error.message),
    ...Object.fromEntries(kept),
    ...(error instanceof AggregateError ? { errors: error.errors.map((one) => plain(one, text, depth + 1)) } : {}),
    ...(error.cause === undefined ? {} : { cause: plain(error.cause, text, depth + 1) }),
    stack: text(error.stack ?? ''),
  };
}
