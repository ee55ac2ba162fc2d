import {
  type Component,
  goComponent,
  type GoSuppliers,
  isWithin,
  type Part,
  repositoryOf,
  STANDARD_LIBRARY,
  upstreamVersion,
} from '@lkt/attest';

/** A file of an image made from Debian packages. */
export interface OwnedFile {
  /** Name of the Debian package. */
  readonly owner: string;
  readonly path: string;
}

/** Where Debian's golang-*-dev packages and the Go compiler install sources. */
const SOURCES = /^usr\/(?:share\/gocode|(?:lib|share)\/(go-[0-9.]+))\/src\/(.+)\/([^/]+)$/;

/**
 * Returns the Debian packages that have Go sources, by import path, each with the module that it
 * packages. The version of the module is the upstream part of the package's version.
 * @param components components of the Debian packages by name
 */
export function goSuppliersOf(
  files: Iterable<OwnedFile>,
  components: ReadonlyMap<string, Component>,
): GoSuppliers {
  const packages = new Map<string, { owner: string; isStandard: boolean }>();
  const modules = new Map<string, string[]>();
  for (const { owner, path } of files) {
    const [, standard, directory, name = ''] = SOURCES.exec(path) ?? [];
    if (directory === undefined) continue;
    if (name.endsWith('.go'))
      packages.set(directory, { owner, isStandard: standard !== undefined });
    if (name === 'go.mod') modules.set(owner, [...(modules.get(owner) ?? []), directory]);
  }
  const suppliers = new Map<string, readonly Part[]>();
  for (const [importPath, { owner, isStandard }] of packages) {
    const component = components.get(owner);
    if (component === undefined) continue;
    const part = isStandard
      ? standardLibrary(component)
      : moduleOf(importPath, modules.get(owner) ?? [], component);
    const module = part && { component: { ...part, ...licenseOf(component) } };
    suppliers.set(importPath, [{ component, parts: module === undefined ? [] : [module] }]);
  }
  return suppliers;
}

/** Returns the licence of a package, which is also that of the modules in it. */
function licenseOf({ license, concludedLicense, licenseTexts }: Component): Partial<Component> {
  return {
    ...(license !== undefined && { license }),
    ...(concludedLicense !== undefined && { concludedLicense }),
    ...(licenseTexts !== undefined && { licenseTexts }),
  };
}

function standardLibrary({ version = '' }: Component): Component {
  return goComponent({ path: STANDARD_LIBRARY, version: releaseOf(version)?.text });
}

/**
 * Returns the module with a package, by the go.mod files of its Debian package; without one, the
 * repository. Debian leaves the major version out of some directories.
 * @see https://go.dev/ref/mod#major-version-suffixes
 */
function moduleOf(
  importPath: string,
  modules: readonly string[],
  { version = '' }: Component,
): Component | undefined {
  const release = releaseOf(version);
  const isSemantic = release?.text.split('.').length === 3;
  const [module] = modules
    .filter((path) => isWithin(importPath, path))
    .toSorted((a, b) => b.length - a.length);
  const path = module ?? repositoryOf(importPath);
  if (path === undefined) return undefined;
  if (release === undefined || !isSemantic) return goComponent({ path });
  const { major, text } = release;
  if (major < 2 || path.startsWith('gopkg.in/')) return goComponent({ path, version: `v${text}` });
  if (module === undefined) return goComponent({ path, version: `v${text}+incompatible` });
  const suffix = /\/v\d+$/.test(path) ? '' : `/v${major}`;
  return goComponent({ path: `${path}${suffix}`, version: `v${text}` });
}

/**
 * Returns the upstream release of a Debian version: 1.1.15 for `1.1.15+ds1-2`. Undefined if the
 * package has a snapshot or a prerelease.
 */
function releaseOf(version: string): { readonly text: string; readonly major: number } | undefined {
  const [text, major] = /^(\d+)(?:\.\d+){1,2}$/.exec(upstreamVersion(version)) ?? [];
  return text === undefined ? undefined : { text, major: Number(major) };
}
