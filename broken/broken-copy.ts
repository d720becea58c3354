import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PgrepError } from '../src/core/error.ts';
import { edited, type Edit } from './breakage.ts';

const project = fileURLToPath(new URL('..', import.meta.url));
const copied = ['src', 'sql', 'schema', 'package.json', 'tsconfig.json', 'tsconfig.build.json'] as const;

/** A built copy of the project in a temporary folder, with edits made; the folder goes, with all that was run there. */
export class BrokenCopy implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pgrep-broken-'));

  /** Path of the built program. */
  readonly program = join(this.#folder, 'dist', 'cli', 'main.js');
  /** Temporary folder for what the program is run for: what it keeps of failures goes, too. */
  readonly scratch = join(this.#folder, 'tmp');

  /** Throws `usage` when an edit does not fit the source or the copy does not build. */
  static async make(edits: readonly Edit[]): Promise<BrokenCopy> {
    const copy = new BrokenCopy();
    try {
      for (const edit of edits) copy.#edit(edit);
      await copy.#build();
      return copy;
    } catch (error) {
      copy[Symbol.dispose]();
      throw error;
    }
  }

  private constructor() {
    for (const name of copied) cpSync(join(project, name), join(this.#folder, name), { recursive: true });
    symlinkSync(join(project, 'node_modules'), join(this.#folder, 'node_modules'));
    mkdirSync(this.scratch);
    // Postgres runs as an ordinary user, who has to reach its data folder.
    chmodSync(this.#folder, 0o755);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #edit(edit: Edit): void {
    const path = join(this.#folder, edit.file);
    writeFileSync(path, edited(readFileSync(path, 'utf8'), edit));
  }

  // Types are not checked: what is taken away may leave something unused.
  async #build(): Promise<void> {
    const tsc = join(project, 'node_modules', 'typescript', 'bin', 'tsc');
    const child = spawn(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--noCheck'], {
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    if (status !== 0) throw new PgrepError('usage', `The broken copy does not build:\n${output}`);
  }
}
