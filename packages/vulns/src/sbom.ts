import { parsePackageUrl } from '@lkt/attest';
import { LktError } from '@lkt/core';
import { withoutRebuild } from '@lkt/debian';
import type { Ecosystem } from './advisory.ts';
import { codenameOf } from './debian-releases.ts';
import { items, record, text } from './json-fields.ts';

/** A package of an SBOM that advisories can name. */
export interface SbomPackage {
  readonly purl: string;
  /** Name and version as in the SBOM: those of the binary package. */
  readonly name: string;
  readonly version: string;
  readonly ecosystem: Ecosystem;
  readonly release?: string;
  /** Name and version by which advisories know it: those of Debian's source package. */
  readonly source: { readonly name: string; readonly version: string };
}

/** The packages of an SBOM, and how many of its components no database of lkt covers. */
export interface SbomPackages {
  readonly packages: readonly SbomPackage[];
  readonly uncovered: readonly string[];
}

/**
 * Reads the packages of an SBOM in SPDX 2.3 or CycloneDX JSON: Debian packages and Go modules, by
 * their package URLs. Images and sources of lkt are containers of packages, and not listed.
 * @throws CONFIG_INVALID
 */
export function parseSbom(document: unknown, where: string): SbomPackages {
  const found = new Map<string, SbomPackage>();
  const uncovered = new Set<string>();
  for (const purl of purlsOf(record(document), where)) {
    const item = packageOf(purl);
    if (item === undefined) {
      if (!/^pkg:(?:oci|generic)\//.test(purl)) uncovered.add(purl);
    } else {
      found.set(purl, item);
    }
  }
  const packages = [...found.values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1));
  return { packages, uncovered: [...uncovered].toSorted() };
}

function purlsOf(
  document: Readonly<Record<string, unknown>> | undefined,
  where: string,
): readonly string[] {
  if (text(document?.['spdxVersion'])?.startsWith('SPDX-2.') === true)
    return items(document?.['packages']).flatMap((item) =>
      items(record(item)?.['externalRefs']).flatMap((reference) => {
        const { referenceType, referenceLocator } = record(reference) ?? {};
        return referenceType === 'purl' ? [text(referenceLocator) ?? ''] : [];
      }),
    );
  if (document?.['bomFormat'] === 'CycloneDX') return cyclonePurls(document);
  throw new LktError('CONFIG_INVALID', `${where} is neither SPDX 2 nor CycloneDX JSON`, {
    fix: 'write it by lkt pkg sbom, or by lkt build --sbom',
  });
}

/** Returns the purls of components, which may contain components (CycloneDX 1.6, "components"). */
function cyclonePurls(parent: Readonly<Record<string, unknown>>): readonly string[] {
  const purls: string[] = [];
  const open: unknown[] = [...items(parent['components'])];
  for (let item = record(open.pop()); item !== undefined; item = record(open.pop())) {
    const purl = text(item['purl']);
    if (purl !== undefined) purls.push(purl);
    open.push(...items(item['components']));
  }
  return purls;
}

/** Returns the package of a URL; undefined if no database of lkt covers its type. */
function packageOf(purl: string): SbomPackage | undefined {
  const parts = parsePackageUrl(purl);
  if (parts?.version === undefined) return undefined;
  const { type, namespace, name, version, qualifiers = {} } = parts;
  if (type === 'deb' && namespace === 'debian') {
    const { upstream, distro } = qualifiers;
    const [sourceName = name, sourceVersion] = upstream?.split('@') ?? [];
    return {
      purl,
      name,
      version,
      ecosystem: 'debian',
      release: distro === undefined ? undefined : codenameOf(distro),
      source: { name: sourceName, version: sourceVersion ?? withoutRebuild(version) },
    };
  }
  if (type !== 'golang') return undefined;
  const path = namespace === undefined ? name : `${namespace}/${name}`;
  return { purl, name: path, version, ecosystem: 'go', source: { name: path, version } };
}
