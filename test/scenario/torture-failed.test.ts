import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { drawSchedule } from '../../src/torture/faults/schedule.ts';
import { PostgresProcess } from '../../src/torture/servers/postgres-server.ts';
import { spawnPgrep } from '../support/daemon.ts';
import { removeFolder, serverFolder } from '../support/folders.ts';
import { waitFor } from '../support/wait.ts';

/** Above the minute that it writes: servers, the join, healing, draining, emptying; on two busy cores. */
const deadlineMs = 540_000;
const seconds = 60;

/** Of all seeds the first that cuts a node off, and without a TRUNCATE at the end: that would take along the row that is to be wrong. */
const seed = [...Array(100).keys()].find((each) => {
  const { truncatesMs, faults } = drawSchedule({ nodes: 2, seconds, seed: each, topology: 'mesh' });
  return truncatesMs < 0.7 * seconds * 1000 && faults.some(({ event, forMs }) => event.kind === 'refuse' && forMs === 25_000);
}) ?? 0; // prettier-ignore

// No writer has it.
const id = 1_000_000;
const key = `torture.parent ["${id}"]`;

/** Lines of a running server's pid file: the first is its pid, the fourth its port. */
function pidFile(folder: string, node: string): readonly string[] {
  return readFileSync(join(folder, node, 'data', 'postmaster.pid'), 'utf8').split('\n');
}

async function connected<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/**
 * Writes a row at a node and logs it as writers do, then, within the transaction, makes another row of it that nobody logs or captures:
 * what is sent to all nodes is not what was committed. Gives the tag of the row that was logged.
 */
async function writeWrongly(folder: string, node: string): Promise<string> {
  return await connected(`postgres://postgres@127.0.0.1:${pidFile(folder, node)[3] ?? ''}/postgres`, async (client) => {
    await client.query('begin');
    const { rows } = await client.query<{ tag: string }>('insert into torture.parent (id) values ($1) returning tag', [id]); // prettier-ignore
    await client.query('select pgrep_torture.log_commit()');
    await client.query("set local application_name = 'pgrep-replayer'");
    await client.query("update torture.parent set tag = 'of nobody' where id = $1", [id]);
    await client.query('commit');
    return rows[0]?.tag ?? '';
  });
}

/** Starts a server on kept data and gives the tag of the row. */
async function tagIn(folder: string, node: string): Promise<unknown> {
  const server = new PostgresProcess({ binaries: join(folder, 'postgres'), folder: join(folder, node) });
  await server.start();
  try {
    const { rows } = await connected(server.url(), (client) => client.query<{ tag: string }>('select p.tag from torture.parent p where p.id = $1', [id])); // prettier-ignore
    return rows[0]?.tag;
  } finally {
    await server.end();
  }
}

test(
  `a torture run that fails (seed ${seed}) ends with status 3, shows the first wrong key with its history, and keeps data and logs in the folder that it names`,
  async () => {
    const temporary = serverFolder('failing-run');
    await using run = spawnPgrep(['torture', '--nodes', '2', '--minutes', '1', '--seed', String(seed)], {
      cwd: temporary,
      env: { TMPDIR: temporary },
    });
    // The node that is cut off for so long stays to the end, and no other fault meets it meanwhile.
    const cutOff = /^[\d.]+ s: refuse (\w), 25 s$/m;
    await run.says(cutOff, 240_000);
    const node = cutOff.exec(run.stderr)?.[1] ?? '';
    const folder = join(temporary, readdirSync(temporary)[0] ?? '');
    const tag = await waitFor(() => writeWrongly(folder, node), { what: `a row that is wrong at ${node}` });
    await run.says(/^healed after /m, 240_000);
    const { nodes } = JSON.parse(readFileSync(join(folder, 'pgrep.json'), 'utf8')) as { nodes: object };
    const members = Object.keys(nodes);
    const pids = members.map((each) => Number(pidFile(folder, each)[0]));

    const { code, stdout, stderr } = await run.exit(deadlineMs);
    expect({ code, said: code === 3 ? '' : stderr }).toEqual({ code: 3, said: '' });
    expect(stdout).toMatch(new RegExp(`^FAILED: seed ${seed}, 2 nodes \\(mesh\\), 60 s\\.$`, 'm'));
    const [, findings = '', history = '', named] = /^Faults: [^]*?\n(\w+: [^]*)\n\nThe first key that is wrong:\n([^]*)\nData and logs: (.*)\n$/m.exec(stdout) ?? []; // prettier-ignore
    expect(findings.split('\n')).toEqual([
      expect.stringMatching(`^winner: ${escaped(key)}: The key ended with row of nobody, but the highest version, \\d+ of node ${node}, is row ${escaped(tag)}\\.$`), // prettier-ignore
      // And so the row that was committed is lost.
      expect.stringMatching(`^recorded: ${escaped(key)}: Version \\d+ of node ${node}, row ${escaped(tag)}, lost `),
    ]);
    const lines = history.split('\n');
    expect(lines[0]).toBe(key);
    expect(lines.filter((line) => line.includes(' row '))).toEqual(members.map((each) => expect.stringMatching(`^ {2}${each} row \\{"id":${id},"tag":"of nobody",`) as string)); // prettier-ignore
    expect(lines.at(-1)).toMatch(new RegExp(`^ {2}committed \\d+ write at ${node} #\\d+ xid \\d+: absent -> ${escaped(tag)}, found version \\d+$`)); // prettier-ignore

    expect(named).toBe(folder);
    for (const each of ['a', 'b', 'c']) {
      expect(statSync(join(folder, each, 'log')).size).toBeGreaterThan(0);
      expect(existsSync(join(folder, each, 'data', 'PG_VERSION'))).toBe(true);
    }
    expect(readdirSync(folder).filter((file) => /^replayer-.*\.log$/.test(file))).not.toEqual([]);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    for (const each of members) expect(await tagIn(folder, each)).toBe('of nobody');
    removeFolder(temporary);
  },
  deadlineMs + 10_000,
);

function escaped(text: string): string {
  return text.replaceAll(/[.[\]]/g, '\\$&');
}
