import { LktError } from '@lkt/core';
import type { ElfReport, ElfRule, Finding } from '@lkt/audit';
import { columns } from './columns.ts';
import { printable } from './printable.ts';

/** A report of which some rules are let pass, with the reasons. */
export interface WaivedElf extends ElfReport {
  readonly waived: Readonly<Partial<Record<ElfRule['id'], string>>>;
}

export interface WaivedFinding extends Finding {
  readonly waived?: string;
}

/** A row for each file: what it is, and the rules that do not hold. */
export function elfLines(reports: readonly WaivedElf[]): readonly string[] {
  return columns(
    reports.map((report) => {
      const failed = failedRules(report);
      const waived = Object.keys(report.waived);
      return [
        failed.length > 0 ? 'BAD' : 'ok',
        printable(report.path),
        describe(report),
        [...failed, ...(waived.length === 0 ? [] : [`(waived: ${waived.join(' ')})`])].join(' '),
      ];
    }),
  );
}

/** A row for each thing that should not be. */
export function findingLines(findings: readonly WaivedFinding[]): readonly string[] {
  return columns(
    findings.map(({ rule, path, what, waived }) => [
      waived === undefined ? 'BAD' : 'ok',
      printable(path),
      waived === undefined ? rule : `(waived: ${rule})`,
      printable(what),
    ]),
  );
}

/**
 * Ends the command if something was found that is not waived.
 * @throws LktError AUDIT_FAILED, with the reason and cure of each rule that does not hold
 */
export function judgeAudit(
  elf: readonly WaivedElf[],
  findings: readonly WaivedFinding[],
  rules: readonly ElfRule[],
): void {
  const bad = elf.filter((report) => failedRules(report).length > 0);
  const found = findings.filter(({ waived }) => waived === undefined);
  const [first, ...more] = new Set([...bad, ...found].map(({ path }) => path));
  if (first === undefined) return;
  const broken = new Set(bad.flatMap(failedRules));
  const detail = rules
    .filter(({ id }) => broken.has(id))
    .map(({ id, reason, fix }) => `  ${id}: ${reason}; ${fix}`)
    .join('\n');
  throw new LktError(
    'AUDIT_FAILED',
    more.length === 0 ? `${first} does not pass` : `${more.length + 1} files do not pass`,
    { detail: detail === '' ? undefined : detail, fix: FIX, report: { elf, findings } },
  );
}

const FIX = 'mend it, or say in .audit.yml why it is let pass';

/** The rules that do not hold, and are not let pass. */
export function failedRules({ rules, waived }: WaivedElf): readonly string[] {
  return Object.entries(rules).flatMap(([id, holds]) => (holds || id in waived ? [] : [id]));
}

function describe({ facts: { kind, language, interpreter } }: ElfReport): string {
  const made = language === 'other' ? '' : language === 'go' ? 'Go ' : 'Rust ';
  const alone = kind === 'program' && interpreter === undefined ? ' that stands alone' : '';
  return `${made}${kind}${alone}`;
}
