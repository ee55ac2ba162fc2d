import type { Digest } from '@lkt/core';
import { type Platform, parseReference } from '@lkt/oci';
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
  /** SPDX license expression, or the text of the packager. */
  readonly license?: string;
  readonly fileName?: string;
  /** Origin of the component, as text: "built from the source package …". */
  readonly sourceInfo?: string;
  readonly comment?: string;
}

/** A component with the components linked into it, or that it packages. */
export interface Part {
  readonly component: Component;
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
      qualifiers: { arch: platform?.architecture, repository_url: `${domain}/${path}` },
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
  /** Name of the source package. */
  readonly source?: string | undefined;
  readonly sourceVersion?: string | undefined;
  readonly distribution?: string;
  readonly fileName?: string;
}): Component {
  const { name, version, architecture, digest, source, sourceVersion, fileName, suite } = deb;
  const upstream =
    source === undefined || (source === name && (sourceVersion ?? version) === version)
      ? undefined
      : `${source}${sourceVersion === undefined ? '' : `@${sourceVersion}`}`;
  return {
    kind: 'deb',
    name,
    version,
    purl: packageUrl({
      type: 'deb',
      namespace: deb.distribution ?? 'debian',
      name,
      version,
      qualifiers: {
        arch: architecture,
        distro: suite,
        upstream,
      },
    }),
    digest,
    fileName,
    sourceInfo: source === undefined ? undefined : `built from the source package ${source}`,
  };
}
