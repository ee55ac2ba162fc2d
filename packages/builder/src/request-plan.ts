import { type Digest, sourceError } from '@lkt/core';
import {
  type ContainerConfig,
  type Image,
  type Layer,
  loadImage,
  MediaType,
  parsePlatform,
  type Platform,
  SOURCE_DATE_EPOCH,
} from '@lkt/oci';
import {
  type BuildPlan,
  type Dockerfile,
  evaluate,
  imageKey,
  type ImageOrigin,
  type ImageReference,
  imageReferences,
  parseDockerfile,
  type StagePlan,
} from '@lkt/dockerfile';
import type { BuildContext, BuildRequest } from './engine.ts';
import { buildPlatformFor } from './this-machine.ts';

/** A request that is parsed and evaluated, before any engine runs a step. */
export interface RequestPlan {
  readonly dockerfile: Dockerfile;
  readonly plan: BuildPlan;
  readonly target: StagePlan;
  /** As written in the Dockerfile. */
  readonly references: readonly ImageReference[];
  /** References in triggers (ONBUILD) of base images. */
  readonly triggerReferences: readonly ImageReference[];
  /** Images by `imageKey`. */
  readonly images: ReadonlyMap<string, Image>;
  /** BUILDPLATFORM. */
  readonly buildPlatform: Platform;
}

/**
 * Parses the Dockerfile, finds its images in the store, and evaluates it. Reports its warnings.
 * @throws LktError DOCKERFILE_INVALID, PIN_MISSING, NOT_FOUND
 */
export async function planRequest(
  request: BuildRequest,
  { store, reporter }: BuildContext,
): Promise<RequestPlan> {
  const { platform, target: name } = request;
  const dockerfile = parseDockerfile(request.dockerfile);
  const buildArgs = new Map(request.buildArgs).set('SOURCE_DATE_EPOCH', String(SOURCE_DATE_EPOCH));
  const { buildPlatform = buildPlatformFor(platform) } = request;
  const wanted = { buildPlatform, target: name };
  const images = new Map<string, Image>();
  const imageConfig = (origin: ImageOrigin): ContainerConfig | undefined =>
    images.get(imageKey(origin))?.config.config;
  // References in triggers are known only once their images are loaded.
  let references: readonly ImageReference[];
  for (;;) {
    references = imageReferences(dockerfile, buildArgs, platform, {
      ...wanted,
      imageConfig,
    }).filter(({ isNeeded }) => isNeeded);
    const missing = references.filter((reference) => !images.has(imageKey(reference)));
    if (missing.length === 0) break;
    for (const reference of missing) {
      if (images.has(imageKey(reference))) continue;
      const digest = digestFor(reference, request);
      const image = await loadImage(store, digest, parsePlatform(reference.platform));
      images.set(imageKey(reference), image);
      // Its tag may be removed while this build runs.
      const { descriptor, manifest } = image;
      for (const blob of [descriptor, manifest.config, ...manifest.layers])
        await store.keep(blob.digest);
    }
  }
  const plan = evaluate(dockerfile, {
    buildArgs,
    platform,
    ...wanted,
    imageConfig,
    alwaysGiven: request.alwaysGiven,
  });
  for (const { position, text, rule } of plan.warnings) {
    const place = `${request.dockerfile.path}:${position.line}:${position.column}`;
    const named = rule === undefined ? '' : ` (${rule})`;
    reporter.emit({ kind: 'warning', text: `${place}: ${text}${named}` });
  }
  const target = plan.stages.find((stage) => stage.index === plan.target);
  if (target === undefined) throw new Error('the plan lacks its target');
  return {
    dockerfile,
    plan,
    target,
    references: references.filter(({ trigger }) => trigger === undefined),
    triggerReferences: references.filter(({ trigger }) => trigger !== undefined),
    images,
    buildPlatform,
  };
}

function digestFor(reference: ImageReference, request: BuildRequest): Digest {
  const { position, length, text, trigger } = reference;
  const digest = request.bases.get(text);
  if (digest !== undefined) return digest;
  throw sourceError(
    'PIN_MISSING',
    request.dockerfile,
    position,
    trigger === undefined
      ? `no digest is known for ${text}`
      : `no digest is known for ${text}, which the base image names in ${trigger}`,
    {
      length,
      fix:
        trigger === undefined
          ? undefined
          : 'use a base without the trigger, and write its instruction into the Dockerfile',
    },
  );
}

/**
 * Docker's layer types are OCI's under other names (image-spec, media-types.md); a manifest uses
 * one kind.
 */
const OCI_TYPES: Readonly<Record<string, string>> = {
  [MediaType.dockerLayerTar]: MediaType.layerTar,
  [MediaType.dockerLayerGzip]: MediaType.layerGzip,
};

/** Returns the layers of an image, for the manifest of an image based on it. */
export function layersOf({ manifest, config }: Image): readonly Layer[] {
  return manifest.layers.map(({ mediaType, digest, size }, index) => {
    const diffId = config.rootfs.diff_ids[index];
    if (diffId === undefined) throw new Error('an image has more layers than diff ids');
    return { diffId, descriptor: { mediaType: OCI_TYPES[mediaType] ?? mediaType, digest, size } };
  });
}
