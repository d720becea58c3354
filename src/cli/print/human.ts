/** Digits in groups of three: `1,234,567`; one decimal below 10 unless whole. */
export function formatNumber(value: number): string {
  const digits = Math.abs(value) < 10 && !Number.isInteger(value) ? value.toFixed(1) : String(Math.round(value));
  return digits.replace(/\B(?=(\d{3})+$)(?<!\.\d*)/g, ',');
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
] as const;

/** A span in its two largest units: `2 d 3 h`, `4 min 10 s`, `7 s`, `0.4 s`, `0 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds <= 0) return '0 s';
  if (seconds < 10) return `${seconds < 0.05 ? '<0.1' : String(Number(seconds.toFixed(1)))} s`;
  const whole = Math.round(seconds);
  const index = units.findIndex(([, size]) => whole >= size);
  const largest = units[index];
  if (largest === undefined) return `${whole} s`;
  const [name, size] = largest;
  const [nextName, nextSize] = units[index + 1] ?? ['s', 1];
  const rest = Math.floor((whole % size) / nextSize);
  return `${Math.floor(whole / size)} ${name}${rest === 0 ? '' : ` ${rest} ${nextName}`}`;
}

/** `1 row`, `2 rows`, `1,000 rows`. */
export function count(amount: number, one: string, many = `${one}s`): string {
  return `${formatNumber(amount)} ${amount === 1 ? one : many}`;
}

/** `2026-01-31 12:30:45Z` of an ISO 8601 time. */
export function formatTime(iso: string): string {
  return iso.replace('T', ' ').replace(/\.\d+/, '');
}

/** A key for people: `7`, or `(7, x)` for a composite one. */
export function formatKey(key: readonly string[]): string {
  return key.length === 1 ? (key[0] ?? '') : `(${key.join(', ')})`;
}
