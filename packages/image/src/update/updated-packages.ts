import type { LockedPackage } from '@lkt/debian';
import type { Store } from '@lkt/oci';
import type { LockUpdates, ResolvedLock } from '@lkt/pkg';
import type { AdvisoryIndex, SbomPackage, Severity } from '@lkt/vulns';

/** A change of Debian packages that have one source, in all locks. */
export interface UpdatedPackage {
  /** Name of the source package. */
  readonly source: string;
  /** Names of the binary packages, sorted. */
  readonly names: readonly string[];
  /** Undefined for packages that the locks did not have. */
  readonly from?: string;
  /** Undefined for packages that the locks no longer need. */
  readonly to?: string;
  /** Whether the archive has a newer version than `from` with security fixes. */
  readonly isSecurity: boolean;
  /**
   * Vulnerabilities that the update fixes, by its changelog and the databases. Undefined if neither
   * is known.
   */
  readonly vulnerabilities?: readonly FixedVulnerability[];
  /** Lock files, as shown to the user. */
  readonly locks: readonly string[];
}

/** A vulnerability that an update fixes. */
export interface FixedVulnerability {
  /** `CVE-2025-31133` */
  readonly id: string;
  /** `unknown` if only the changelog names it. */
  readonly severity: Severity;
}

interface Change {
  readonly from?: LockedPackage;
  readonly to?: LockedPackage;
  readonly lock: ResolvedLock;
}

/**
 * Describes the changes of locks by source package and versions, sorted.
 * @param available the newer versions in the archive before the update
 * @param store has the new .debs; without it, no changelog is read
 */
export async function describeChanges(
  locks: readonly ResolvedLock[],
  available: readonly LockUpdates[],
  store: Store | undefined,
  advisories: AdvisoryIndex | undefined,
): Promise<readonly UpdatedPackage[]> {
  const security = new Set(
    available.flatMap(({ updates }) =>
      updates
        .filter(({ isSecurity }) => isSecurity)
        .map(({ name, version }) => `${name} ${version}`),
    ),
  );
  const groups = Map.groupBy(locks.flatMap(changesOf), ({ from, to }) =>
    [sourceOf(from ?? to), from?.version ?? '', to?.version ?? ''].join(' '),
  );
  const described: UpdatedPackage[] = [];
  for (const [, changes] of [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const [{ from, to } = {}] = changes;
    const vulnerabilities = await vulnerabilitiesOf(changes, store, advisories);
    described.push({
      source: sourceOf(from ?? to),
      names: unique(changes.map((change) => (change.from ?? change.to)?.name ?? '')),
      ...(from && { from: from.version }),
      ...(to && { to: to.version }),
      isSecurity: changes.some((one) => security.has(`${one.from?.name} ${one.from?.version}`)),
      ...(vulnerabilities && { vulnerabilities }),
      locks: unique(changes.map(({ lock }) => lock.report.file)),
    });
  }
  return described;
}

function changesOf(lock: ResolvedLock): readonly Change[] {
  const { added, removed, changed } = lock.report;
  return [
    ...added.map((to) => ({ to, lock })),
    ...removed.map((from) => ({ from, lock })),
    ...changed.map(({ from, to }) => ({ from, to, lock })),
  ];
}

/** Returns the source package of a file: its directory is pool/COMPONENT/PREFIX/SOURCE. */
function sourceOf(item: LockedPackage | undefined): string {
  return item?.path.split('/').at(-2) ?? '';
}

async function vulnerabilitiesOf(
  changes: readonly Change[],
  store: Store | undefined,
  advisories: AdvisoryIndex | undefined,
): Promise<readonly FixedVulnerability[] | undefined> {
  const named = store && (await changelogVulnerabilities(changes, store));
  const [change] = changes;
  if (named === undefined && (advisories === undefined || change?.from === undefined))
    return undefined;
  const found = new Map<string, Severity>((named ?? []).map((id) => [id, 'unknown']));
  if (advisories !== undefined && change?.from !== undefined && change.to !== undefined) {
    const { fixedVulnerabilities } = await import('@lkt/vulns');
    const [before, after] = await Promise.all(
      [change.from, change.to].map(async (item) => sbomPackage(item, change.lock)),
    );
    if (before !== undefined && after !== undefined)
      for (const { id, severity } of fixedVulnerabilities(before, after, advisories))
        found.set(id, severity);
  }
  return [...found]
    .map(([id, severity]) => ({ id, severity }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Reads the first changelog among the binary packages of the source. */
async function changelogVulnerabilities(
  changes: readonly Change[],
  store: Store,
): Promise<readonly string[] | undefined> {
  const { namedVulnerabilities } = await import('@lkt/debian');
  for (const { from, to } of changes) {
    if (from === undefined || to === undefined || to.architecture === 'source') continue;
    const named = await namedVulnerabilities(to, from.version, store);
    if (named !== undefined) return named;
  }
  return undefined;
}

async function sbomPackage(item: LockedPackage, { lock }: ResolvedLock): Promise<SbomPackage> {
  const { withoutRebuild } = await import('@lkt/debian');
  const { name, version } = item;
  const source = { name: sourceOf(item), version: withoutRebuild(version) };
  return {
    purl: `${name} ${version}`,
    name,
    version,
    ecosystem: 'debian',
    release: lock.suite,
    source,
  };
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].toSorted();
}
