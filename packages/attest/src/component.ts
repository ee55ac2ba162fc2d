import type { Digest } from '@lkt/core';
import { type Platform, parseReference } from '@lkt/oci';
import { packageUrl } from './purl.ts';

/** Something an image is made of or from. Equal ones are one package in an SBOM. */
export interface Component {
  readonly kind: 'apk' | 'deb' | 'go' | 'image' | 'source';
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly digest?: Digest;
  /** An SPDX expression, or what the packager wrote. */
  readonly license?: string;
  readonly fileName?: string;
  /** What it was built from, in words. */
  readonly sourceInfo?: string;
  readonly comment?: string;
}

/** A component of an image, and where of it that is known. */
export interface Content {
  readonly component: Component;
  /** Files of the image that are its; none when it is there as a whole. */
  readonly paths?: readonly string[];
  /** What is linked into it. */
  readonly parts?: readonly Component[];
}

/** An image by the digest of its manifest or index. */
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

/** A Debian package by its entry in a lock. */
export function debComponent(deb: {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly suite?: string;
  readonly digest?: Digest;
  /** Of the package it was built from. */
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
