import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands/all.ts';
import { globalOptions, parseArguments } from '../../src/cli/parse.ts';

const text = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8');
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

async function understood(line: string): Promise<void> {
  const args = line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? [];
  await expect(parseArguments(args, { commands, version: '1', width: 80 })).resolves.toMatchObject({ kind: 'command' });
}

describe('docs/commands.md', () => {
  test.each(commands)('names $path with every option it has', ({ path, options }) => {
    const [group = ''] = path;
    const section = text.split(/^## /m).find((part) => part.startsWith(`${group}\n`)) ?? '';
    expect(section).toContain(`    pgrep ${path.join(' ')}`);
    for (const option of Object.keys(options)) expect(section).toContain(`--${option}`);
  });

  test('names the options that stand everywhere', () => {
    const everywhere = text.split(/^## /m).find((part) => part.startsWith('Everywhere\n')) ?? '';
    for (const option of Object.keys(globalOptions)) expect(everywhere).toContain(`--${option}`);
  });

  test('has only examples that the command line understands', async () => {
    const lines = [...text.matchAll(/^\$ pgrep (.+)$/gm)].map((match) => match[1] ?? '');
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) await understood(line);
  });
});

describe('README.md', () => {
  test('has an example of every command', () => {
    const missing = commands.map(({ path }) => path).filter((path) => !readme.includes(`\`pg-rep ${path[0] ?? ''}`));
    expect(missing).toEqual([]);
  });

  test('has only commands that the command line understands', async () => {
    const blocks = [...readme.matchAll(/^ {4}pg-rep ([^#\n]+)/gm)];
    const inText = [...readme.matchAll(/`(?:pg-rep|pgrep) ([a-z][^`]*)`/g)];
    const lines = [...blocks, ...inText].map((match) => (match[1] ?? '').trim());
    expect(lines.length).toBeGreaterThan(25);
    for (const line of lines) await understood(line);
  });

  test('names only files that are there', () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '');
    expect(links.length).toBeGreaterThan(8);
    expect(links.filter((path) => !existsSync(new URL(`../../${path}`, import.meta.url)))).toEqual([]);
  });
});
