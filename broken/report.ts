import { finds, isProven, type Proof } from './verdict.ts';
import type { Run } from './run-torture.ts';

const messageLength = 100;

/** The table of all proofs, as Markdown, and what is missing. */
export function reportText(proofs: readonly Proof[]): string {
  const missing = proofs.filter((proof) => !isProven(proof)).map(({ breakage }) => breakage.name);
  return [
    '| breakage | what is broken | runs until found | found by |',
    '| --- | --- | --- | --- |',
    ...proofs.map(row),
    '',
    missing.length === 0 ? 'All as it should be.' : `Not as it should be: ${missing.join(', ')}.`,
  ].join('\n');
}

/** The same as JSON text. */
export function reportJson(proofs: readonly Proof[]): string {
  const each = proofs.map((proof) => ({
    name: proof.breakage.name,
    step: proof.breakage.step,
    broken: proof.breakage.broken,
    proven: isProven(proof),
    runs: proof.runs,
  }));
  return JSON.stringify({ proven: proofs.every(isProven), breakages: each }, null, 2);
}

/** One run in a line, for progress. */
export function showRun({ seed, topology, first, findings, failed }: Run): string {
  const counts = Object.entries(findings).map(([check, count]) => `${check} ${count}`);
  const found = counts.length === 0 ? 'nothing found' : counts.join(', ');
  const detail = first === null ? '' : `; ${shorten(first.message)}`;
  return `seed ${seed} (${topology}): ${failed === null ? `${found}${detail}` : `no verdict: ${failed}`}`;
}

function row({ breakage, runs }: Proof): string {
  const found = runs.find((run) => finds(breakage, run));
  const cells =
    breakage.step === 'control'
      ? [
          `${runs.length}, ${runs.filter((run) => run.first !== null || run.failed !== null).length} of them with findings`,
          '',
        ]
      : found === undefined
        ? [`not in ${runs.length}`, '']
        : [
            `${runs.indexOf(found) + 1} (seed ${found.seed}, ${found.topology})`,
            `\`${found.first?.check ?? ''}\`: ${shorten(found.first?.message ?? '')}`,
          ];
  return `| ${[breakage.name, breakage.broken, ...cells].join(' | ')} |`;
}

function shorten(message: string): string {
  const line = message.replaceAll(/\s+/g, ' ');
  return line.length <= messageLength ? line : `${line.slice(0, messageLength)}…`;
}
