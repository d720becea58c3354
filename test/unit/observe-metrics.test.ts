import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/core/logger.ts';
import { openMetricsServer } from '../../src/observe/metrics-server.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import type { LinkSample } from '../../src/observe/metrics.ts';

const idle: LinkSample = { source: 'a', target: 'b', state: 'running', lagSeconds: 0, lagKeys: 0, rate: 7, held: 0 };

describe('metrics', () => {
  test('show lag, held rows and state of each link as they are at the scrape', async () => {
    const links = [idle, { ...idle, target: 'es', state: 'retrying', lagSeconds: null, lagKeys: null, held: 3 }];
    const metrics = createMetrics();
    const page = await metrics.page(links);
    expect(page).toContain('pgrep_rate{source="a",target="b"} 7');
    expect(page).toContain('pgrep_lag_seconds{source="a",target="b"} 0');
    expect(page).toContain('pgrep_lag_keys{source="a",target="es"} Nan');
    expect(page).toContain('pgrep_held{source="a",target="es"} 3');
    expect(page).toContain('pgrep_link_state{source="a",target="es",state="retrying"} 1');
    expect(page).toContain('pgrep_link_state{source="a",target="es",state="running"} 0');
    expect(await metrics.page([idle])).not.toContain('target="es"');
  });

  test('count batches and keys of a link', async () => {
    const metrics = createMetrics();
    metrics.applied({ source: 'a', target: 'b', keys: 10, held: 1, seconds: 0.5 });
    metrics.applied({ source: 'a', target: 'b', keys: 5, held: 0, seconds: 0.25 });
    const page = await metrics.page([]);
    expect(page).toContain('pgrep_batches_total{source="a",target="b"} 2');
    expect(page).toContain('pgrep_keys_total{source="a",target="b"} 15');
    expect(page).toContain('pgrep_batch_seconds_total{source="a",target="b"} 0.75');
  });
});

describe('the metrics server', () => {
  const links = [{ source: 'a', target: 'b', state: 'running' }];
  const options = {
    port: 0,
    host: '127.0.0.1',
    logger: silentLogger,
    metrics: () => Promise.resolve({ type: 'text/plain', text: 'pgrep_held 0\n' }),
    health: () => Promise.resolve({ healthy: true, links, unreachable: [] }),
  };

  test('serves /metrics and /health and nothing else', async () => {
    await using server = await openMetricsServer(options);
    const at = `http://127.0.0.1:${server.port}`;
    expect(await (await fetch(`${at}/metrics`)).text()).toBe('pgrep_held 0\n');
    const health = await fetch(`${at}/health`);
    expect([health.status, await health.json()]).toEqual([200, { healthy: true, links, unreachable: [] }]);
    expect((await fetch(`${at}/other`)).status).toBe(404);
  });

  test('answers 503 when a link has stopped and when the state cannot be read', async () => {
    await using server = await openMetricsServer({
      ...options,
      health: () => Promise.resolve({ healthy: false, links, unreachable: [] }),
      metrics: () => Promise.reject(new Error('no connection')),
    });
    const at = `http://127.0.0.1:${server.port}`;
    expect((await fetch(`${at}/health`)).status).toBe(503);
    expect((await fetch(`${at}/metrics`)).status).toBe(503);
  });

  test('says which port is taken', async () => {
    await using server = await openMetricsServer(options);
    await expect(openMetricsServer({ ...options, port: server.port })).rejects.toMatchObject({
      code: 'usage',
      message: `The metrics server cannot listen on 127.0.0.1:${server.port} (EADDRINUSE).`,
    });
  });
});
