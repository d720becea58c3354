import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as library from '../../src/index.ts';

const folder = new URL('../../src/cli/commands/', import.meta.url);

/** Names of functions that a command takes from below the command line. */
function uses(text: string): readonly string[] {
  const imports = [...text.matchAll(/^import \{([^}]+)\} from '\.\.\/\.\.\/(?:app|observe|config)\/[^']+';$/gm)];
  return imports
    .flatMap(([, names = '']) => names.split(',').map((name) => name.trim()))
    .filter((name) => !name.startsWith('type '));
}

// Torture is a program of its own, which starts servers; a library does not.
test.each(readdirSync(folder).filter((file) => file !== 'torture.ts' && file !== 'all.ts'))(
  'the library has every function that commands/%s calls',
  (file) => {
    const names = uses(readFileSync(new URL(file, folder), 'utf8'));
    expect(names.filter((name) => !(name in library))).toEqual([]);
    if (file !== 'config.ts') expect(names.length).toBeGreaterThan(0);
  },
);
