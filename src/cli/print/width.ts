/** Combining marks, variation selectors, zero-width characters and joiners take no cell. */
const zero = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]$/u;

/** East Asian Wide and Fullwidth blocks (UAX #11) and emoji take two cells. */
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]$/u;

/** How many cells of a terminal the text takes. */
export function displayWidth(text: string): number {
  let cells = 0;
  for (const char of text) cells += charWidth(char);
  return cells;
}

/** The text, cut to `cells` with a final `…` where it is longer. */
export function cutToWidth(text: string, cells: number): string {
  if (displayWidth(text) <= cells) return text;
  let cut = '';
  let used = 0;
  for (const char of text) {
    used += charWidth(char);
    if (used > cells - 1) break;
    cut += char;
  }
  return `${cut}…`;
}

function charWidth(char: string): number {
  if (char >= ' ' && char <= '~') return 1;
  return zero.test(char) ? 0 : wide.test(char) ? 2 : 1;
}
