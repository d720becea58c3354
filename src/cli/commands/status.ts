import type { LinkStatus, StatusResult } from '../../app/results.ts';
import { status } from '../../app/status.ts';
import { showLink } from '../../core/route.ts';
import { pause } from '../../core/timing.ts';
import type { Command, Context } from '../command.ts';
import { count, formatNumber, formatSeconds } from '../print/human.ts';
import { printResult } from '../print/result.ts';
import { formatTable } from '../print/table.ts';

/** `pgrep status`: what each link does and how far behind it is. */
export const statusCommand: Command = {
  path: ['status'],
  usage: '[--watch]',
  describe: 'Show what each link does and how far behind it is',
  arguments: { least: 0, most: 0 },
  options: {
    watch: { kind: 'flag', describe: 'Show it again and again until interrupted' },
    interval: { kind: 'number', value: 'SECONDS', describe: 'Pause between two looks of --watch (default: 2)' },
  },
  examples: ['pgrep status', 'pgrep status --watch', 'pgrep status --json'],
  run: async (input, context) => {
    const intervalMs = (input.number('interval', 1) ?? 2) * 1000;
    await context.withApp(async (app) => {
      if (!input.flag('watch')) {
        printResult(context, await status(app, context.signal), (result) => formatStatus(result, context));
        return;
      }
      while (!context.signal.aborted) {
        showAgain(await status(app, context.signal), context);
        await pause(intervalMs, context.signal);
      }
    });
    return 0;
  },
};

/** From the top of the terminal; else one after the other, with `--json` one object a line. */
function showAgain(result: StatusResult, context: Context): void {
  if (context.json) context.console.out(`${JSON.stringify(result)}\n`);
  else if (context.console.outIsTerminal) context.console.out(`\u001b[H\u001b[J${formatStatus(result, context)}`);
  else context.console.out(`${formatStatus(result, context)}\n`);
}

function formatStatus({ links }: StatusResult, context: Context): string {
  if (links.length === 0) {
    return 'Nothing is replicated. Begin with: pgrep add-table SCHEMA.TABLE --to NODE\n';
  }
  const table = formatTable(
    links,
    [
      { title: 'LINK', text: showLink },
      { title: 'STATE', text: showState },
      { title: 'LAG', text: ({ lagSeconds }) => orUnknown(lagSeconds, formatSeconds), align: 'right' },
      { title: 'KEYS', text: ({ lagKeys }) => orUnknown(lagKeys, formatNumber), align: 'right' },
      { title: 'RATE', text: ({ rate }) => `${formatNumber(rate)}/s`, align: 'right' },
      { title: 'HELD', text: ({ held }) => formatNumber(held), align: 'right' },
      { title: 'TABLES', text: ({ tables }) => formatNumber(tables), align: 'right' },
      { title: 'LAST ERROR', text: ({ lastError }) => lastError ?? '' },
    ],
    context.console.columns,
  );
  return table + advice(links);
}

function showState({ state, copying, catchingUp }: LinkStatus): string {
  if (state === 'copying') return `copying ${count(copying, 'table')}`;
  return catchingUp ? `${state}, catching up` : state;
}

function orUnknown(value: number | null, show: (value: number) => string): string {
  return value === null ? '?' : show(value);
}

function advice(links: readonly LinkStatus[]): string {
  const held = links.reduce((sum, link) => sum + link.held, 0);
  const lines = [
    ...(held > 0 ? [`${count(held, 'row is', 'rows are')} held: see pgrep errors list, then pgrep retry-errors.`] : []),
    ...(links.some(({ state }) => state === 'no daemon') ? ['Links without a daemon wait for: pgrep run'] : []),
    ...(links.some(({ catchingUp }) => catchingUp)
      ? ['While a link is catching up, a row at its target may be newer than its neighbours.']
      : []),
  ];
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}
