import type { Digest } from '@lkt/core';
import { formatReference, type Platform, parseReference } from '@lkt/oci';
import { cpeName } from './cpe.ts';
import { packageUrl } from './purl.ts';

/**
 * A thing that an image contains or was built from. Equal components are one package in an SBOM.
 */
export interface Component {
  readonly kind: 'apk' | 'deb' | 'go' | 'image' | 'kernel' | 'source';
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  /** CPE 2.3, as a formatted string. */
  readonly cpe?: string;
  readonly digest?: Digest;
  /** Name of the organization from which the component came. */
  readonly supplier?: string;
  /** SPDX license expression that the component declares. */
  readonly license?: string;
  /** The expression concluded from its text; default: the declared one. */
  readonly concludedLicense?: string;
  /** Texts of each `LicenseRef-…` in the expressions, whose ids depend on the texts. */
  readonly licenseTexts?: readonly LicenseText[];
  readonly fileName?: string;
  /** Origin of the component, as text: "built from the source package …". */
  readonly sourceInfo?: string;
  readonly comment?: string;
}

/** The licence of a component. */
export type ComponentLicense = Pick<Component, 'concludedLicense' | 'license' | 'licenseTexts'>;

/** The text of a licence that SPDX does not list. */
export interface LicenseText {
  /** `LicenseRef-…` */
  readonly id: string;
  readonly name?: string;
  readonly text: string;
}

/**
 * Relation of a whole to a part: it contains the part, was made from it, or has its code linked in.
 */
export type PartRelation = 'CONTAINS' | 'GENERATED_FROM' | 'STATIC_LINK';

/** A component with the components linked into it, or that it packages. */
export interface Part {
  readonly component: Component;
  /** Relation of the whole to this part; default: `CONTAINS`. */
  readonly relation?: PartRelation;
  readonly parts?: readonly Part[];
}

/** A component in an image, with its files where they are known. */
export interface Content extends Part {
  /**
   * Paths of the component's files in the image; absent when the image contains the whole
   * component.
   */
  readonly paths?: readonly string[];
}

/** Returns the components of contents and of their parts. Reads a list of parts once. */
export function componentsIn(contents: readonly Part[]): readonly Component[] {
  const found: Component[] = [];
  const lists = new Set([contents]);
  // A set yields what is added meanwhile.
  for (const list of lists)
    for (const { component, parts = [] } of list) {
      found.push(component);
      lists.add(parts);
    }
  return found;
}

/**
 * Returns the component of an image, named by the digest of its manifest or index.
 * @throws REFERENCE_INVALID
 */
export function imageComponent(name: string, digest: Digest, platform?: Platform): Component {
  const { domain, path } = parseReference(name);
  return {
    kind: 'image',
    name,
    version: digest,
    digest,
    purl: packageUrl({
      type: 'oci',
      name: path.slice(path.lastIndexOf('/') + 1),
      version: digest,
      qualifiers: {
        arch: platform?.architecture,
        repository_url: formatReference({ domain, path }),
      },
    }),
  };
}

/**
 * Returns the component of a Debian package, from an entry of a lock file or of dpkg's database.
 */
export function debComponent(deb: {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly suite?: string;
  readonly digest?: Digest;
  /** Name of the source package; default: that of the package. */
  readonly source?: string | undefined;
  readonly sourceVersion?: string | undefined;
  readonly distribution?: string;
  readonly fileName?: string;
  readonly license?: ComponentLicense | undefined;
}): Component {
  const { name, version, architecture, digest, source = name, fileName, suite } = deb;
  const { distribution = 'debian' } = deb;
  const sourceVersion = deb.sourceVersion ?? sourceVersionOf(version);
  const origin = sourceVersion === version ? source : `${source}@${sourceVersion}`;
  return {
    kind: 'deb',
    name,
    version,
    purl: packageUrl({
      type: 'deb',
      namespace: distribution,
      name,
      version,
      qualifiers: {
        arch: architecture,
        distro: suite,
        upstream: origin === name ? undefined : origin,
      },
    }),
    cpe: cpeName('a', '*', source, upstreamVersion(sourceVersion)),
    digest,
    supplier: distributor(distribution),
    fileName,
    ...deb.license,
    sourceInfo: `built from the source package ${source} ${sourceVersion}`,
  };
}

/** Returns the organization that supplies a distribution's packages, by its id in os-release. */
export function distributor(id: string): string {
  return DISTRIBUTORS[id] ?? id;
}

const DISTRIBUTORS: Readonly<Record<string, string>> = {
  alpine: 'Alpine Linux',
  debian: 'Debian',
  ubuntu: 'Ubuntu',
};

/**
 * Returns the version of the source package of a binary package. A rebuild without changes has the
 * version of the source with `+b` and a number (Debian policy, 5.6.12.1).
 */
function sourceVersionOf(version: string): string {
  return version.replace(/\+b\d+$/, '');
}

/**
 * Returns the upstream part of a Debian version: without epoch, revision, and the suffix of sources
 * from which Debian removed files. 1.1.15 for `1.1.15+ds1-2`.
 */
export function upstreamVersion(version: string): string {
  return version
    .replace(/^\d+:/, '')
    .replace(/-[^-]*$/, '')
    .replace(/[+~](?:dfsg|ds|repack)[0-9.]*$/, '');
}
