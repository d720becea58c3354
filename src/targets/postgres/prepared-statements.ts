/** Remembers which statements a session has prepared, so that repeated ones are planned once. */
export class PreparedStatements {
  readonly #names = new Map<string, string>();

  /** The same statements as `execute …`; those met for the first time are preceded by their `prepare`. */
  executes(statements: readonly string[]): readonly string[] {
    return statements.flatMap((statement) => {
      const known = this.#names.get(statement);
      if (known !== undefined) return [`execute ${known}`];
      const name = `pgrep_${this.#names.size + 1}`;
      this.#names.set(statement, name);
      return [`prepare ${name} as ${statement}`, `execute ${name}`];
    });
  }

  /** What prepares those of the statements that are not prepared yet; to be run by itself, so that no failure of theirs undoes it. */
  prepares(statements: readonly string[]): readonly string[] {
    return this.executes(statements).filter((text) => text.startsWith('prepare '));
  }

  /** Forgets them all; gives the SQL that makes the session forget them too. */
  forget(): string {
    this.#names.clear();
    return 'deallocate all';
  }
}
