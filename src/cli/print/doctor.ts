import type { DoctorResult } from '../../app/doctor/doctor.ts';
import type { Finding } from '../../app/doctor/finding.ts';
import { count } from './human.ts';

/** What is wrong, errors first, each with what to type; then how much was looked at. */
export function formatDoctor({ findings }: DoctorResult): string {
  const errors = findings.filter(({ level }) => level === 'error');
  const warnings = findings.filter(({ level }) => level === 'warning');
  const checks = new Set(findings.map(({ check }) => check)).size;
  const nodes = new Set(findings.map(({ node }) => node)).size;
  const looked = `${count(checks, 'check')} at ${count(nodes, 'node')}`;
  const verdict =
    errors.length + warnings.length === 0
      ? 'all is well'
      : `${count(errors.length, 'error')}, ${count(warnings.length, 'warning')}`;
  return `${[...errors, ...warnings].map(formatFinding).join('')}${looked}: ${verdict}.\n`;
}

function formatFinding({ level, check, node, table, message, advice }: Finding): string {
  const where = table === null ? node : `${node} ${table}`;
  return `${level}: ${where} (${check})\n  ${message}\n${advice === null || advice === '' ? '' : `  ${advice}\n`}\n`;
}
