import { afterAll, beforeAll, expect, test } from 'vitest';
import { initNodes, listErrors, openApp, parseConfig, silentLogger, type App, type Logger } from '../../src/index.ts';
import { freePort } from '../support/ports.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

let server: PostgresServer;
let app: App;
const warned: string[] = [];
const signal = new AbortController().signal;

beforeAll(async () => {
  server = await startPostgres({ name: 'errors-nodes-down' });
  const down = `postgres://postgres@127.0.0.1:${await freePort()}/none`;
  const nodes = { local: { postgres: await server.createDatabase('local'), id: 1 }, remote: { postgres: down, id: 2 } };
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => void warned.push(message) };
  app = openApp({ config: parseConfig(JSON.stringify({ home: 'local', nodes }), {}, 'pgrep.json'), logger });
});

afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('held rows are listed while a node is down, with a warning that names it (G7)', async () => {
  const { nodes } = await initNodes(app, { nodes: ['local'], dryRun: false }, signal);
  expect(nodes).toEqual([{ node: 'local', nodeId: 1, change: 'created' }]);
  expect(await listErrors(app, {}, signal)).toEqual([]);
  expect(warned).toEqual([expect.stringMatching(/^Node remote is left out: /)]);
});

test('the node that was asked for must answer', async () => {
  await expect(listErrors(app, { from: 'remote' }, signal)).rejects.toMatchObject({ code: 'unreachable' });
});
