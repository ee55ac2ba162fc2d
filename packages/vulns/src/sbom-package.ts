import { type PackageUrlParts, parsePackageUrl } from '@lkt/attest';
import { withoutRebuild } from '@lkt/debian';
import { ECOSYSTEMS, type Ecosystem } from './ecosystems.ts';
import { upstreamKernelVersion } from './kernel-version.ts';

/** A package of an SBOM that advisories can name. */
export interface SbomPackage {
  readonly purl: string;
  /** Name and version as in the SBOM: those of the binary package. */
  readonly name: string;
  readonly version: string;
  readonly ecosystem: Ecosystem;
  readonly release?: string;
  /** Name and version by which advisories know it: those of a distribution's source package. */
  readonly source: { readonly name: string; readonly version: string };
  /**
   * Other paths that may be those of a Go module: some SBOMs have the path from its fourth element
   * as the subpath of the package URL, and others a package in the module.
   */
  readonly otherNames?: readonly string[];
  /**
   * For a Go module or a kernel: the Debian packages from which it was compiled, or that contain
   * it, if it came from no other source. They may have patches that its version does not show.
   */
  readonly suppliers?: readonly SbomPackage[];
}

/** A source package of a distribution. */
export interface SourcePackage {
  readonly name: string;
  readonly version?: string | undefined;
}

/**
 * Returns the package of a URL; undefined if no database of lkt covers its type.
 * @param given its source package, if the URL names none
 */
export function packageOf(purl: string, given: SourcePackage | undefined): SbomPackage | undefined {
  const parts = parsePackageUrl(purl);
  if (parts?.version === undefined) return undefined;
  const item = READERS.get(parts.type)?.({ ...parts, version: parts.version }, given);
  return item && { purl, ...item };
}

/** Returns the version with an epoch that is stated beside it. */
export function withEpoch(version: string, epoch: string | undefined): string {
  return /^[1-9]\d*$/.test(epoch ?? '') && !version.includes(':') ? `${epoch}:${version}` : version;
}

type Reader = (
  parts: PackageUrlParts & { readonly version: string },
  given: SourcePackage | undefined,
) => Omit<SbomPackage, 'purl'> | undefined;

/** Readers of package URLs by type (https://github.com/package-url/purl-spec). */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['apk', apkPackage],
  ['cargo', library('crates')],
  ['deb', debianPackage],
  ['generic', kernel],
  ['golang', goModule],
  ['npm', library('npm')],
]);

function debianPackage(
  ...[{ namespace, name, version: bare, qualifiers = {} }, given]: Parameters<Reader>
): ReturnType<Reader> {
  if (namespace?.toLowerCase() !== 'debian') return undefined;
  const { upstream, distro, epoch } = qualifiers;
  const version = withEpoch(bare, epoch);
  const [stated = '', sourceVersion] =
    upstream?.split('@') ?? (given === undefined ? [] : [given.name, given.version]);
  const sourceName = stated === '' ? name : stated;
  const source = isSignedKernel(sourceName)
    ? { name: 'linux', version: withoutRebuild(version) }
    : { name: sourceName, version: sourceVersion ?? withoutRebuild(version) };
  return { name, version, ecosystem: 'debian', release: releaseIn('debian', distro), source };
}

/**
 * Reports whether a source package only adds signatures to kernels of the source package `linux`.
 * Its binary packages have the versions of that package, by which advisories know them.
 */
function isSignedKernel(source: string): boolean {
  return source.startsWith('linux-signed-');
}

/** Packages of Alpine have the version of their source package, the origin. */
function apkPackage(
  ...[{ namespace, name, version, qualifiers = {} }, given]: Parameters<Reader>
): ReturnType<Reader> {
  if (namespace?.toLowerCase() !== 'alpine') return undefined;
  const { upstream, origin, distro } = qualifiers;
  const [stated = ''] = (upstream ?? origin ?? given?.name ?? '').split('@', 1);
  const source = { name: stated === '' ? name : stated, version };
  return { name, version, ecosystem: 'alpine', release: releaseIn('alpine', distro), source };
}

function releaseIn(ecosystem: Ecosystem, distro: string | undefined): string | undefined {
  return distro === undefined ? undefined : ECOSYSTEMS[ecosystem].releaseOf?.(distro);
}

function goModule(
  ...[{ namespace, name, version, subpath }]: Parameters<Reader>
): ReturnType<Reader> {
  const path = pathOf({ namespace, name });
  const elements = subpath?.split('/') ?? [];
  const otherNames = elements.map((_, index) => [path, ...elements.slice(0, index + 1)].join('/'));
  // The name that cyclonedx-gomod gives the standard library.
  const source = { name: path === 'std' ? 'stdlib' : path, version };
  return { name: otherNames.at(-1) ?? path, version, ecosystem: 'go', source, otherNames };
}

/** A kernel of lkt is `pkg:generic/linux`, one of Syft `pkg:generic/linux-kernel`. */
function kernel(...[{ namespace, name, version }]: Parameters<Reader>): ReturnType<Reader> {
  if (namespace !== undefined || !/^linux(?:[-_]kernel)?$/i.test(name)) return undefined;
  const upstream = upstreamKernelVersion(version);
  if (upstream === undefined) return undefined;
  return { name, version, ecosystem: 'linux', source: { name: 'Kernel', version: upstream } };
}

/** Returns a reader of packages that advisories know by the names and versions in their URLs. */
function library(ecosystem: Ecosystem): Reader {
  return ({ namespace, name, version }) => {
    const path = pathOf({ namespace, name });
    return { name: path, version, ecosystem, source: { name: path, version } };
  };
}

function pathOf({ namespace, name }: Pick<PackageUrlParts, 'name' | 'namespace'>): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
