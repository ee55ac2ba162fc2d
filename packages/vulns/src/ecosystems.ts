import { compareVersions } from '@lkt/debian';
import { branchOf } from './alpine-branches.ts';
import { compareApkVersions } from './apk-version.ts';
import { codenameOf } from './debian-releases.ts';
import { compareKernelVersions } from './kernel-version.ts';
import { compareSemver } from './semver-version.ts';

/** The origin of packages, and the name of the database with their advisories. */
export type Ecosystem = 'alpine' | 'crates' | 'debian' | 'go' | 'linux' | 'npm';

/** Names, address and version order of an ecosystem. */
export interface EcosystemInfo {
  /** Its name in OSV records (https://ossf.github.io/osv-schema/#defined-ecosystems). */
  readonly osvName: string;
  /** Address of its database. */
  readonly url: string;
  /** Compares versions of its packages; undefined if one of them is not a version. */
  readonly compare: (a: string, b: string) => number | undefined;
  /** Returns a release as advisories name it; absent where versions do not depend on it. */
  readonly releaseOf?: (release: string) => string;
}

/** The ecosystems whose packages lkt looks up. */
export const ECOSYSTEMS: Readonly<Record<Ecosystem, EcosystemInfo>> = {
  alpine: { ...osv('Alpine'), compare: compareApkVersions, releaseOf: branchOf },
  crates: { ...osv('crates.io'), compare: compareSemver },
  debian: {
    osvName: 'Debian',
    url: 'https://security-tracker.debian.org/tracker/data/json',
    compare: compareVersions,
    releaseOf: codenameOf,
  },
  go: { ...osv('Go'), compare: compareSemver },
  linux: { ...osv('Linux'), compare: compareKernelVersions },
  npm: { ...osv('npm'), compare: compareSemver },
};

/** Returns name and address of an ecosystem whose records osv.dev publishes as an archive. */
function osv(osvName: string): Pick<EcosystemInfo, 'osvName' | 'url'> {
  return { osvName, url: `https://osv-vulnerabilities.storage.googleapis.com/${osvName}/all.zip` };
}

const BY_OSV_NAME: ReadonlyMap<string, Ecosystem> = new Map(
  Object.entries(ECOSYSTEMS).map(([name, { osvName }]) => [
    osvName.toLowerCase(),
    name as Ecosystem,
  ]),
);

/**
 * Parses the ecosystem of an OSV record: `Debian:13`, `Alpine:v3.20`, `Go`. Without a release, as
 * in `Debian`, it means all. Undefined for one whose packages lkt does not look up.
 */
export function ecosystemOf(
  name: string,
): { readonly ecosystem: Ecosystem; readonly release?: string } | undefined {
  const [base = '', release = ''] = name.trim().split(/:(.*)/s, 2);
  const ecosystem = BY_OSV_NAME.get(base.toLowerCase());
  if (ecosystem === undefined) return undefined;
  const { releaseOf } = ECOSYSTEMS[ecosystem];
  return release === '' || releaseOf === undefined
    ? { ecosystem }
    : { ecosystem, release: releaseOf(release) };
}

/** Compares two versions of a package as its ecosystem does. Negative if `a` is older. */
export function compareIn(ecosystem: Ecosystem, a: string, b: string): number | undefined {
  return ECOSYSTEMS[ecosystem].compare(a, b);
}
