import type { App } from '../../app/open.ts';
import type { StatusResult } from '../../app/results.ts';
import { runDaemon } from '../../app/run.ts';
import { status } from '../../app/status.ts';
import { openMetricsServer } from '../../observe/metrics-server.ts';
import type { Health } from '../../observe/metrics-server.ts';
import { createMetrics } from '../../observe/metrics.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { Command, Context } from '../command.ts';
import { given } from '../input.ts';
import type { Input } from '../input.ts';
import { refuseDryRun } from '../refuse-dry-run.ts';

/** `pgrep run`: the daemon; ends cleanly on SIGTERM and SIGINT. */
export const run: Command = {
  path: ['run'],
  usage: '[--from NODE] [--to NODE]',
  describe: 'Replicate until told to stop: the daemon',
  arguments: { least: 0, most: 0 },
  options: {
    from: { kind: 'text', value: 'NODE', describe: 'Only links from this source (default: all)' },
    to: { kind: 'text', value: 'NODE', describe: 'Only links to this target (default: all)' },
    'metrics-port': { kind: 'number', value: 'PORT', describe: 'Serve /metrics (Prometheus) and /health on this port' },
    'metrics-host': { kind: 'text', value: 'ADDRESS', describe: 'Address for it (default: 127.0.0.1)' },
  },
  examples: ['pgrep run', 'pgrep run --to es --metrics-port 9187'],
  logLevel: 'info',
  run: async (input, context) => {
    refuseDryRun(context, 'run', '"pgrep status" shows what there is to replicate.');
    const options = { ...given('from', input.text('from')), ...given('to', input.text('to')) };
    const metrics = createMetrics();
    await context.withApp(
      async (app) => {
        const server = await serveMetrics(metrics, { app, input, context });
        try {
          await runDaemon(app, options, context.signal);
        } finally {
          await server?.[Symbol.asyncDispose]();
        }
      },
      { onBatch: metrics.applied },
    );
    return 0;
  },
};

/** Serves `/metrics` and `/health` while the daemon runs; null without `--metrics-port`. */
async function serveMetrics(
  metrics: Metrics,
  { app, input, context }: { app: App; input: Input; context: Context },
): Promise<AsyncDisposable | null> {
  const port = input.number('metrics-port', 0);
  if (port === undefined) return null;
  const logger = context.logger();
  const server = await openMetricsServer({
    port,
    host: input.text('metrics-host') ?? '127.0.0.1',
    metrics: async () => ({
      type: metrics.contentType,
      text: await metrics.page((await status(app, context.signal)).links),
    }),
    health: async () => healthOf(await status(app, context.signal)),
    logger,
  });
  logger.info({ port: server.port }, 'serving /metrics and /health');
  return server;
}

// A link that backs off from a node that is down does what it should; one that stopped needs a person.
function healthOf({ links, unreachable }: StatusResult): Health {
  const shown = links.map(({ source, target, state }) => ({ source, target, state }));
  const healthy = shown.every(({ state }) => state !== 'stopped' && state !== 'no daemon');
  return { healthy, links: shown, unreachable };
}
