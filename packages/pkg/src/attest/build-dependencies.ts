import {
  type Component,
  imageComponent,
  type KnownImage,
  type ResourceDescriptor,
} from '@lkt/attest';
import { type CopyStep, evaluate, gitSource } from '@lkt/dockerfile';
import { type Digest, digestOf, digestSet } from '@lkt/core';
import { gitUri, type Origin } from '@lkt/git';
import { familiarReference, type Platform } from '@lkt/oci';
import type { AttestedImage } from './attestations.ts';
import { debsOf } from './deb-components.ts';
import type { Package } from '../workspace/workspace.ts';

/**
 * Returns all inputs of an image, as the `resolvedDependencies` of its provenance (SLSA v1).
 * @param origin repository and commit with the sources
 */
export function dependenciesOf(
  item: Package,
  image: AttestedImage,
  bases: readonly KnownImage[],
  origin: Origin | undefined,
): readonly ResourceDescriptor[] {
  const { recipe, contextDigest, lock } = image;
  return [
    ...(origin === undefined ? [] : [{ uri: origin.uri, digest: { gitCommit: origin.commit } }]),
    resource('build.yml', digestOf(item.file.text)),
    ...(recipe === undefined
      ? []
      : [resource('Dockerfile', digestOf(recipe.dockerfile.file.text))]),
    ...(contextDigest === undefined ? [] : [resource('context', contextDigest)]),
    ...bases.flatMap(({ component: { name, digest, purl } }) =>
      digest === undefined ? [] : [resource(name, digest, purl)],
    ),
    ...archivedComponents(image.archived, image.platform).map(({ name, digest, purl }) =>
      resource(name, digest, purl),
    ),
    ...remotesOf(item, image, bases),
    ...(lock === undefined
      ? []
      : debsOf(lock).map(([{ name, digest }, { purl }]) => resource(name, digest, purl))),
  ];
}

/** Returns the SBOM components of the images that were put into the build context. */
export function archivedComponents(
  archived: AttestedImage['archived'],
  platform: Platform,
): readonly (Component & { readonly digest: Digest })[] {
  return archived.map(({ reference: { domain, path, digest } }) => ({
    ...imageComponent(familiarReference({ domain, path }), digest, platform),
    digest,
  }));
}

/**
 * Returns the files and repositories that ADD fetches. ADD needs a checksum or a commit for them.
 */
function remotesOf(
  item: Package,
  { recipe, platform, bases: digests }: AttestedImage,
  bases: readonly KnownImage[],
): readonly ResourceDescriptor[] {
  if (recipe === undefined) return [];
  const { stages } = evaluate(recipe.dockerfile, {
    buildArgs: recipe.buildArgs,
    platform,
    target: item.target?.stage,
    imageConfig: ({ text }) =>
      bases.find(({ component }) => component.digest === digests.get(text))?.image?.config.config,
  });
  return stages
    .flatMap(({ steps }) => steps)
    .flatMap((step) => (step.kind !== 'add' ? [] : remoteResource(step)));
}

function remoteResource(step: CopyStep): readonly ResourceDescriptor[] {
  const git = gitSource(step);
  if (git !== undefined) return [{ uri: gitUri(git.remote), digest: { gitCommit: git.commit } }];
  const { checksum } = step;
  return step.sources.flatMap(({ kind, text }) =>
    kind === 'http' && checksum !== undefined
      ? [{ uri: text, digest: { sha256: checksum.replace(/^sha256:/, '') } }]
      : [],
  );
}

function resource(name: string, digest: Digest, uri?: string): ResourceDescriptor {
  return { name, uri, digest: digestSet(digest) };
}
