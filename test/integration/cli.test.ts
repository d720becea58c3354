import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runPgrep } from '../support/daemon.ts';
import { packageRoot } from '../support/package-root.ts';

/** Port 1 of the loopback interface: nobody listens there. */
const nobody = 'postgres://app:geheim@127.0.0.1:1/shop';

describe('the built command', () => {
  let folder = '';
  let configPath = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgrep-cli-'));
    configPath = join(folder, 'pgrep.json');
    const nodes = { local: { postgres: nobody }, es: { elasticsearch: 'http://127.0.0.1:1', apiKey: 'schluessel' } };
    writeFileSync(configPath, JSON.stringify({ home: 'local', nodes }));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test('prints help and version on standard output with status 0', async () => {
    const [help, version] = await Promise.all([runPgrep(['--help']), runPgrep(['--version'])]);
    expect([help.code, help.stderr, version.code, version.stderr]).toEqual([0, '', 0, '']);
    expect(help.stdout).toMatch(/pgrep add-table .*\n/);
    const { version: ours } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(version.stdout).toBe(`${ours}\n`);
  });

  test.each([
    [[], 'No command is given'],
    [['stauts'], 'Did you mean: pgrep status?'],
    [['status', '--jsno'], 'Did you mean --json?'],
    [['-f', 'nginx'], '/usr/bin/pgrep'],
    [['add-table', 'a.b'], 'add-table needs --to'],
    [['add-table', 'a.b.c', '--to', 'es'], '"a.b.c" has 3 parts'],
    [['copy', 'a.b', '--dry-run'], 'copy has no --dry-run'],
    [['run', '--dry-run'], 'run has no --dry-run'],
    [['errors', 'show', 'first'], '"first" is not the id of a record'],
    [['status', '--log-level', 'debg'], 'Did you mean debug?'],
  ])('ends with status 2 for the wrong command line %j and says so on standard error alone', async (args, message) => {
    const { code, stdout, stderr } = await runPgrep(args, { env: { PGREP_CONFIG: configPath } });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });

  test('takes the configuration from --config, else from PGREP_CONFIG, else from the working folder', async () => {
    const byOption = await runPgrep(['config', 'check'], { configPath, env: { PGREP_CONFIG: 'elsewhere.json' } });
    expect(byOption.stdout).toBe(
      `${configPath} is right: 2 nodes, local (postgres), es (elasticsearch); home is local.\n`,
    );
    const byVariable = await runPgrep(['config', 'check'], { env: { PGREP_CONFIG: configPath } });
    expect(byVariable.stdout).toBe(byOption.stdout);
    const byFolder = await runPgrep(['config', 'check'], { cwd: folder, env: { PGREP_CONFIG: undefined } });
    expect(byFolder.stdout).toMatch(/^\.\/pgrep\.json is right/);
  });

  test('ends with status 2 for a missing configuration and, with --json, says so as an object', async () => {
    const { code, stdout, stderr } = await runPgrep(['status', '--json'], { configPath: 'nowhere.json' });
    expect([code, stdout]).toEqual([2, '']);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'config', message: 'There is no configuration file nowhere.json.' },
    });
  });

  test('shows the configuration without its secrets', async () => {
    const { code, stdout } = await runPgrep(['config', 'show', '--json'], { configPath });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      home: 'local',
      nodes: { local: { postgres: '[secret]' }, es: { elasticsearch: 'http://127.0.0.1:1', apiKey: '[secret]' } },
    });
  });

  test('ends with status 4 when a node cannot be reached, without showing its password at any log level', async () => {
    const { code, stdout, stderr } = await runPgrep(['init', '--log-level', 'debug'], { configPath });
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/^pgrep: .*local/m);
    expect(stderr).not.toMatch(/geheim|schluessel/);
  });

  test('ends quietly when the reader of its output goes away', async () => {
    const main = join(packageRoot, 'dist', 'cli', 'main.js');
    const child = spawn(process.execPath, [main, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    expect([code, stderr]).toEqual([0, '']);
  });
});
