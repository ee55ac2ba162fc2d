import type { ElfReport, WaivedElf, WaivedFinding } from '@lkt/audit';
import { columns } from './lines.ts';
import { printable } from './printable.ts';

/** Returns a line for each file: its kind, and the rules that do not hold. */
export async function elfLines(reports: readonly WaivedElf[]): Promise<readonly string[]> {
  const { failedRules } = await import('@lkt/audit/waivers');
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

/** Returns a line for each finding. */
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

function describe({ facts: { kind, language, interpreter } }: ElfReport): string {
  const made = language === 'other' ? '' : language === 'go' ? 'Go ' : 'Rust ';
  const alone = kind === 'program' && interpreter === undefined ? ' that stands alone' : '';
  return `${made}${kind}${alone}`;
}
