/** What the demo prints: on stdout, headings first, commands as one would type them. */
export function heading(text: string): void {
  process.stdout.write(`\n${bold(`== ${text}`)}\n`);
}

/** One plain line. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A line that the next one replaces on a terminal; elsewhere plain lines. */
export function progress(text: string): void {
  const { isTTY, columns } = process.stdout;
  process.stdout.write(isTTY ? `\r\x1b[2K${text.slice(0, columns > 0 ? columns - 1 : undefined)}` : `${text}\n`);
}

/** Ends a line that `progress` left open. */
export function endProgress(): void {
  if (process.stdout.isTTY) process.stdout.write('\n');
}

/** Rows under a header, columns as wide as they need; numbers stand right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (/^[\d,.]+$/.test(cell) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  say(line(header));
  say(widths.map((width) => '-'.repeat(width)).join('  '));
  for (const row of rows) say(line(row));
}

/** 12345 as 12,345. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

function bold(text: string): string {
  return process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text;
}
