import { posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { filesBelow, importsOf, places, type SourceFile } from '../support/source-files.ts';

/** Folders of `src/` by layer; data flows downward. A folder of `targets/` counts as one of its own. */
const layers: readonly (readonly string[])[] = [
  ['core'],
  ['config', 'db'],
  ['versions'],
  ['capture', 'queue', 'targets', 'targets/postgres', 'targets/elasticsearch', 'failures'],
  ['copy', 'verify', 'replayer', 'observe'],
  ['app'],
  ['torture'],
  ['cli', '.'],
];

/** Packages that one folder alone may import. */
const owners: Readonly<Record<string, string>> = {
  pg: 'db',
  'pg-copy-streams': 'db',
  postgres: 'targets/postgres',
  '@elastic/elasticsearch': 'targets/elasticsearch',
  pino: 'observe',
  'prom-client': 'observe',
  zod: 'config',
  yargs: 'cli',
  'cli-progress': 'cli',
};

const sources = filesBelow('src', ['.ts']);
const everything = [
  ...sources,
  ...filesBelow('test', ['.ts']),
  ...filesBelow('bench', ['.ts']),
  ...filesBelow('broken', ['.ts']),
];

/** The folder of a path below `src/`, as `layers` names it. */
function folderOf(path: string): string {
  const [first = '.', second = ''] = posix.relative('src', posix.dirname(path)).split('/');
  const nested = `${first}/${second}`;
  return layers.flat().includes(nested) ? nested : first === '' ? '.' : first;
}

function layerOf(folder: string): number {
  return layers.findIndex((folders) => folders.includes(folder));
}

/** All uses of these global names (not members, not declarations of the same name) outside the folders given. */
function usesOutside(names: readonly string[], folders: readonly string[]): readonly string[] {
  return sources
    .filter(({ path }) => !folders.includes(folderOf(path)))
    .flatMap((file) => places(file, (node) => ts.isIdentifier(node) && names.includes(node.text) && isGlobal(node)));
}

function isGlobal(node: ts.Identifier): boolean {
  const { parent } = node;
  const isMember = ts.isPropertyAccessExpression(parent) && parent.name === node;
  const isName =
    (ts.isPropertyAssignment(parent) || ts.isParameter(parent) || ts.isVariableDeclaration(parent)) &&
    parent.name === node;
  return !isMember && !isName && !ts.isImportSpecifier(parent) && !ts.isPropertySignature(parent);
}

describe('layers', () => {
  test('every folder of src has its place', () => {
    expect(sources.filter(({ path }) => layerOf(folderOf(path)) < 0).map(({ path }) => path)).toEqual([]);
  });

  test('imports go downward, never between folders of one layer', () => {
    const wrong = sources.flatMap((file) => {
      const from = folderOf(file.path);
      return importsOf(file)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => folderOf(posix.join(posix.dirname(file.path), specifier)))
        .filter((to) => to !== from && !mayImport(from, to))
        .map((to) => `${file.path} -> ${to}`);
    });
    expect(wrong).toEqual([]);
  });

  test('each driver and package has one folder that knows it', () => {
    const wrong = sources.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
        .map((specifier) =>
          specifier
            .split('/')
            .slice(0, specifier.startsWith('@') ? 2 : 1)
            .join('/'),
        )
        .filter((name) => owners[name] !== folderOf(file.path))
        .map((name) => `${file.path} -> ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

/** A kind of target may use what all targets share; otherwise only lower layers. `cli` stands beside `index.ts`. */
function mayImport(from: string, to: string): boolean {
  if (from.startsWith('targets/') && to === 'targets') return true;
  return layerOf(to) < layerOf(from);
}

describe('what is confined to one folder', () => {
  test('the process belongs to the command line, the log and torture, which starts servers', () => {
    expect(usesOutside(['process'], ['cli', 'observe', 'torture'])).toEqual([]);
  });

  test('the console belongs to the command line', () => {
    expect(usesOutside(['console'], ['cli'])).toEqual([]);
  });

  test('timers belong to core, and to the faults of torture', () => {
    expect(usesOutside(['setTimeout', 'setInterval', 'setImmediate'], ['core', 'torture'])).toEqual([]);
  });

  test('clock and chance belong to core and torture', () => {
    const wrong = sources
      .filter(({ path }) => !['core', 'torture'].includes(folderOf(path)))
      .flatMap((file) => places(file, (node) => ts.isPropertyAccessExpression(node) && isClockOrChance(node)));
    expect(wrong).toEqual([]);
  });
});

function isClockOrChance(node: ts.PropertyAccessExpression): boolean {
  return ['Date.now', 'Math.random', 'performance.now'].includes(node.getText());
}

describe('errors', () => {
  test('nothing but PgrepError is thrown, save by a file to itself', () => {
    const wrong = sources.flatMap((file) =>
      places(file, (node) => {
        if (!ts.isThrowStatement(node) || !ts.isNewExpression(node.expression)) return false;
        const thrown = node.expression.expression.getText();
        return thrown !== 'PgrepError' && !new RegExp(`^class ${thrown}\\b`, 'm').test(file.text);
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('nothing is decided on the text of a message', () => {
    const decides = /\.message\.(includes|match|startsWith|endsWith|indexOf|search)\(|\.test\([\w.]*\.message\)/;
    expect(sources.filter(({ text }) => decides.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

describe('files', () => {
  test('have at most 400 lines', () => {
    const long = everything.filter(({ text }) => text.split('\n').length > 401).map(({ path }) => path);
    expect(long).toEqual([]);
  });

  test('are named in kebab-case for what they hold', () => {
    const vague = /(^|-)(utils?|helpers?|lib|common|misc|shared)$/;
    const wrong = sources.filter(({ path }) => {
      const name = posix.basename(path, '.ts');
      return (
        !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) ||
        vague.test(name) ||
        posix
          .dirname(path)
          .split('/')
          .some((part) => vague.test(part))
      );
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test('import TypeScript by its own ending', () => {
    const wrong = everything.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith('.') && !/\.(ts|mjs|json)$/.test(specifier))
        .map((specifier) => `${file.path} -> ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('types', () => {
  test('have no any, no enum, no non-null assertion, no default export', () => {
    const wrong = everything
      .filter(({ path }) => path !== 'test/support/global-setup.ts')
      .flatMap((file) =>
        places(
          file,
          (node) =>
            node.kind === ts.SyntaxKind.AnyKeyword ||
            ts.isNonNullExpression(node) ||
            ts.isEnumDeclaration(node) ||
            ts.isExportAssignment(node) ||
            (node.kind === ts.SyntaxKind.DefaultKeyword && ts.isFunctionDeclaration(node.parent)),
        ),
      );
    expect(wrong).toEqual([]);
  });

  test('are not silenced', () => {
    const silencer = /@ts-(?:ignore|expect-error|nocheck)/;
    expect(
      [...sources, ...filesBelow('bench', ['.ts'])].filter(({ text }) => silencer.test(text)).map(({ path }) => path),
    ).toEqual([]);
  });

  test('every exported function, class and constant of src says what it promises', () => {
    const wrong = sources.filter(({ path }) => path !== 'src/index.ts').flatMap((file) => places(file, isBareExport));
    expect(wrong).toEqual([]);
  });
});

/** An exported declaration without a docstring. Interfaces may be told by those of their members. */
function isBareExport(node: ts.Node): boolean {
  if (!ts.isFunctionDeclaration(node) && !ts.isClassDeclaration(node) && !ts.isVariableStatement(node)) return false;
  const exported = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
  return exported && ts.getJSDocCommentsAndTags(node).length === 0;
}

describe('tests', () => {
  const tests = filesBelow('test', ['.test.ts']);

  test('are all run, and none alone', () => {
    const modifier = /\b(test|it|describe)\.(skip|todo|only|skipIf|runIf)\b/;
    const wrong = tests.filter(({ path, text }) => path !== 'test/unit/architecture.test.ts' && modifier.test(text));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});

describe('SQL', () => {
  const statements: readonly SourceFile[] = filesBelow('sql', ['.sql']);

  test('lists its columns, but for those that one part of a statement hands on to the next', () => {
    const star = /\bselect\s+(\w\w+\.)?\*/i;
    const wrong = [...statements, ...sources].flatMap((file) =>
      file.text
        .split('\n')
        .flatMap((line, at) => (star.test(line) && !isComment(line) ? [`${file.path}:${at + 1}`] : [])),
    );
    expect(wrong).toEqual([]);
  });

  test('is written in lower case', () => {
    const loud = /\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|BEGIN|RETURNS|LANGUAGE)\b/;
    const wrong = statements.flatMap((file) =>
      file.text
        .split('\n')
        .flatMap((line, at) => (loud.test(line.replace(/--.*/, '')) ? [`${file.path}:${at + 1}`] : [])),
    );
    expect(wrong).toEqual([]);
  });
});

function isComment(line: string): boolean {
  return /^\s*(--|\*|\/\/|\/\*)/.test(line);
}
