import { styleText } from 'node:util';

/** pino writes these itself; they head the line and are not repeated as fields. */
const heading = new Set(['time', 'level', 'msg']);

/** One line for people from one JSON log line: `12:03:04 warn  message  key=value …`, an error's causes below it. */
export function prettyLine(line: string, colour: boolean): string {
  const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const level = String(entry.level);
  const fields: string[] = [];
  const below: string[] = [];
  for (const [key, value] of Object.entries(entry)) {
    if (heading.has(key)) continue;
    if (isError(value)) below.push(...causes(value, level === 'debug'));
    else fields.push(`${key}=${shown(value)}`);
  }
  const time = String(entry.time).slice(11, 19);
  const head = [time, paint(level, level.padEnd(5), colour), String(entry.msg)].join(' ');
  const tail = fields.length === 0 ? '' : `  ${colour ? styleText('dim', fields.join(' ')) : fields.join(' ')}`;
  return `${[head + tail, ...below.map((text) => `         ${text}`)].join('\n')}\n`;
}

interface ShownError {
  readonly name: string;
  readonly message: string;
  readonly code?: unknown;
  readonly cause?: unknown;
  readonly stack: string;
}

function isError(value: unknown): value is ShownError {
  return typeof value === 'object' && value !== null && 'message' in value && 'stack' in value;
}

function causes(error: ShownError, withStack: boolean): string[] {
  const code = error.code === undefined ? '' : ` (${shown(error.code)})`;
  const own = [`${error.name}: ${error.message}${code}`, ...(withStack ? error.stack.split('\n').slice(1) : [])];
  return isError(error.cause) ? [...own, ...causes(error.cause, withStack)] : own;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value);
}

function paint(level: string, text: string, colour: boolean): string {
  if (!colour) return text;
  if (level === 'error') return styleText('red', text);
  if (level === 'warn') return styleText('yellow', text);
  return styleText(level === 'info' ? 'green' : 'dim', text);
}
