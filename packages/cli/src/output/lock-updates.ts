import type { LockReport, LockUpdates } from '@lkt/pkg';
import { columns, section } from './lines.ts';

/** Age in days above which a missing security update is worth a warning. */
const MAX_AGE = 7;
const DAY = 86_400_000;

/** Returns the changes of a new lock as lines. */
export function lockReportLines(report: LockReport): readonly string[] {
  const { file, added, removed, changed, total } = report;
  return [
    `${file}: ${total} packages`,
    ...added.map(({ name, version }) => `  + ${name} ${version}`),
    ...removed.map(({ name, version }) => `  - ${name} ${version}`),
    ...changed.map(({ from, to }) => `  ~ ${to.name} ${from.version} → ${to.version}`),
  ];
}

/** Returns the newer versions of each lock file as lines. */
export function lockUpdateLines(locks: readonly LockUpdates[]): readonly string[] {
  return locks.flatMap(({ file, updates }) => {
    const rows = updates.map(({ name, version, newest, archive, isSecurity, securitySince }) => [
      name,
      `${version} → ${newest}`,
      archive,
      isSecurity ? `security${securitySince === undefined ? '' : `, ${dayOf(securitySince)}`}` : '',
    ]);
    return section(file, columns(rows));
  });
}

/**
 * Returns one warning for each lock that has missed a security update for more than a week. An
 * update of unknown age counts.
 */
export function lateUpdates(locks: readonly LockUpdates[], now: Date): readonly string[] {
  return locks.flatMap(({ file, updates }) => {
    const late = updates.filter(
      ({ isSecurity, securitySince }) =>
        isSecurity &&
        (securitySince === undefined || now.getTime() - Date.parse(securitySince) > MAX_AGE * DAY),
    );
    const [first] = late.toSorted((a, b) => compare(a.securitySince, b.securitySince));
    if (first === undefined) return [];
    const { name, newest, securitySince } = first;
    const count = late.length === 1 ? 'a security update' : `${late.length} security updates`;
    const since = securitySince === undefined ? 'of unknown date' : `since ${dayOf(securitySince)}`;
    return [`${file} lacks ${count} ${since}: ${name} ${newest}`];
  });
}

function dayOf(time: string): string {
  return time.slice(0, 10);
}

function compare(a = '~', b = '~'): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
