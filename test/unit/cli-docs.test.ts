import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands/all.ts';
import { globalOptions, parseArguments } from '../../src/cli/parse.ts';

const text = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8');

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
    for (const line of lines) {
      const args = line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? [];
      await expect(parseArguments(args, { commands, version: '1', width: 80 })).resolves.toMatchObject({
        kind: 'command',
      });
    }
  });
});
