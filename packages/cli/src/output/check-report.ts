import { LktError, type Reporter } from '@lkt/core';
import type { BuiltPackage } from '@lkt/pkg';

/**
 * Reports the results of rebuild checks; with `verbose`, also minor remarks.
 * @throws LktError NOT_REPRODUCIBLE for packages whose build.yml does not allow it
 */
export async function reportChecks(
  packages: readonly BuiltPackage[],
  { reporter, verbose }: { readonly reporter: Reporter; readonly verbose: boolean },
): Promise<void> {
  const warn = (text: string): void => reporter.emit({ kind: 'warning', text });
  const checks = packages.flatMap(({ item, checks: reports }) =>
    reports.map((report) => ({ item, report })),
  );
  if (checks.length === 0) return;
  const { checkRemarks, describeCheck } = await import('@lkt/rebuild');
  const notes = new Set(checks.flatMap(({ report }) => report.notes));
  for (const note of notes) warn(`the check was incomplete: ${note}`);
  for (const { item, report } of checks)
    for (const remark of checkRemarks(report, { path: item.file.path, verbose })) warn(remark);
  const failed = checks.filter(({ report }) => !report.reproducible);
  for (const { item, report } of failed) {
    if (item.reproducible) continue;
    const reason = item.nonReproducibleReason;
    const because = reason === undefined ? '' : ` (${reason})`;
    warn(
      `${item.name} is not reproducible, as build.yml expects${because}: ${describeCheck(report).summary}`,
    );
  }
  const unexpected = failed
    .filter(({ item }) => item.reproducible)
    .map(({ item, report }) => ({ name: item.name, report, ...describeCheck(report) }));
  const [first, ...more] = unexpected;
  if (first === undefined) return;
  const isOnly = more.length === 0;
  const message = isOnly
    ? `${first.name} is not reproducible: ${first.summary}`
    : `${unexpected.length} packages are not reproducible`;
  throw new LktError('NOT_REPRODUCIBLE', message, {
    detail: isOnly
      ? first.detail
      : unexpected.map((one) => `${one.name}: ${one.summary}\n${one.detail}`).join('\n'),
    report: Object.fromEntries(unexpected.map((one) => [one.name, one.report])),
  });
}
