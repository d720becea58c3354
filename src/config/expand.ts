/** What a text with `${NAME}` gives: the text, or the first variable that is not set or empty. */
export type Expanded = { readonly text: string } | { readonly missing: string };

/**
 * Puts environment variables in: `${NAME}` becomes its value, `$${` a literal `${`.
 * An empty variable counts as missing: an empty URL or password is never meant.
 */
export function expandVariables(text: string, env: Readonly<Record<string, string | undefined>>): Expanded {
  let missing: string | undefined;
  const result = text.replace(/\$\$\{|\$\{([^}]*)\}/g, (match, name: string | undefined) => {
    if (name === undefined) return match.slice(1);
    const value = env[name];
    if (value === undefined || value === '') missing ??= name;
    return value ?? '';
  });
  return missing === undefined ? { text: result } : { missing };
}
