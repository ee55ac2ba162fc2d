import { LktError } from '@lkt/core';
import { failedRules, type WaivedElf, type WaivedFinding, WAIVER_FIX } from './waivers.ts';
import type { ElfRule } from './elf/rules.ts';

/**
 * Requires that all findings are waived.
 * @throws AUDIT_FAILED, with the reason and fix of each rule that does not hold
 */
export function requireWaived(
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
    { detail: detail === '' ? undefined : detail, fix: WAIVER_FIX, report: { elf, findings } },
  );
}
