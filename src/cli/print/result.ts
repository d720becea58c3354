import type { PlannedSql } from '../../app/results.ts';
import type { Context } from '../command.ts';

/** Prints a command's result on standard output: with `--json` the result itself, else what `human` makes of it. */
export function printResult<Result>(context: Context, result: Result, human: (result: Result) => string): void {
  context.console.out(context.json ? `${JSON.stringify(result, null, 2)}\n` : human(result));
}

/** Warnings go to standard error, so that they do not mix with a result that is piped on. */
export function printWarnings(context: Context, warnings: readonly string[]): void {
  if (!context.json) for (const warning of warnings) context.console.err(`warning: ${warning}\n`);
}

/** What a dry run prints: statements under the node they would run at, ready for psql. */
export function formatSql(planned: readonly PlannedSql[]): string {
  if (planned.length === 0) return '-- nothing to do\n';
  let node: string | null = null;
  let text = '';
  for (const one of planned) {
    if (one.node !== node) text += `${text === '' ? '' : '\n'}-- at ${one.node}\n`;
    node = one.node;
    const statement = one.text.trimEnd();
    text += /(;|\}|^(GET|PUT|POST|DELETE) \/\S+)$/.test(statement) ? `${statement}\n` : `${statement};\n`;
  }
  return text;
}
