import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LktError, type SourceFile, sourceError } from '@lkt/core';
import { type Descriptor, formatPlatform, type Layer, type Platform, writeImage } from '@lkt/oci';
import {
  type BuildContext,
  buildPlatformFor,
  type BuildRequest,
  type Engine,
  layersOf,
  planRequest,
  readCredentials,
  refuseSecretConfig,
  type RequestPlan,
  SecretFinder,
} from '@lkt/builder';
import { imageKey, imageMetadata, type StagePlan } from '@lkt/dockerfile';
import { type Builder, builderFor, parseBuilders } from './address.ts';
import { runClient } from './client.ts';
import { stageCredentials } from './credentials.ts';
import { buildCommand } from './command.ts';
import { dockerfileText } from './dockerfile-text.ts';
import { fetchedImages } from './fetched-images.ts';
import { namedContexts } from './named-contexts.ts';
import { importLayers } from './import-layers.ts';
import { BuildProgress, type FailedStep } from './progress.ts';
import { refuseForeignInputs } from './refuse.ts';
import { isWithoutSecretVariables, refuseSecretFiles } from './secret-variables.ts';
import { DOCKERFILE_DIR, RESULT, stageInputs } from './staging.ts';
import { VertexNames } from './vertex-names.ts';

export interface BuildkitOptions {
  /**
   * Addresses: `tcp://HOST:PORT`, `unix:///PATH`, `docker-container://NAME` (by buildctl), or `buildx:NAME` (by docker).
   * One with `OS/ARCH=` in front is for that platform, and one without for all others.
   */
  readonly builders: readonly string[];
  /** Of buildctl and docker: PATH, HOME, and what they take of their own, such as DOCKER_HOST. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For the platforms that no builder is for. */
  readonly otherwise: Engine;
}

/**
 * The engine that has BuildKit do the steps: on other machines, and for other architectures.
 *
 * BuildKit gets all it needs from the store and gives back layers; what the image says of itself is made here, as for
 * the native engine, so that the image is the same.
 * @throws LktError USAGE_INVALID
 */
export function buildkitEngine({ builders, environment, otherwise }: BuildkitOptions): Engine {
  const known = parseBuilders(builders);
  // A builder that is for one platform is a machine of that kind.
  const buildPlatform = (platform: Platform): Platform =>
    known.platforms.has(formatPlatform(platform)) ? platform : buildPlatformFor(platform);
  return {
    buildPlatform,
    build: async (request, around) => {
      const builder = builderFor(known, request.platform);
      if (builder === undefined) return otherwise.build(request, around);
      const full = { ...request, buildPlatform: buildPlatform(request.platform) };
      return build(builder, environment, full, around);
    },
  };
}

async function build(
  builder: Builder,
  environment: BuildkitOptions['environment'],
  request: BuildRequest,
  around: BuildContext,
): Promise<Descriptor> {
  const { store, reporter, signal } = around;
  if (Object.keys(request.limits ?? {}).length > 0 || request.executor !== undefined) {
    throw new LktError(
      'UNSUPPORTED',
      'limits and executors of RUN are for builds on this machine',
      {
        fix: 'leave out --builder, or set them where that BuildKit runs',
      },
    );
  }
  const planned = await planRequest(request, around);
  refuseForeignInputs(planned, request);
  const { platform, labels } = request;
  const config = imageMetadata(planned.target, labels);
  const credentials = await readCredentials(planned.plan, request.dockerfile, request);
  refuseSecretConfig(config, credentials);
  const finder = new SecretFinder(credentials.secrets);
  const base = baseLayers(planned, planned.target);
  await using directory = await store.tempDir();
  const fetched = await fetchedImages(planned, request, around);
  const images = [...(await namedContexts(planned, store)), ...fetched];
  const { program } = builder;
  const context = await stageInputs(directory.path, planned, request, { ...around, program });
  const handed = await stageCredentials(directory.path, credentials, request);
  const { words } = handed;
  const command = buildCommand(builder, planned, request, { context, credentials: words, images });
  const cwd = directory.path;
  const variables = { ...environment, ...handed.variables };
  const run = async (secretsAsFiles: boolean): Promise<void> => {
    const text = dockerfileText(planned, { fetched, secretsAsFiles });
    await writeFile(join(cwd, DOCKERFILE_DIR, 'Dockerfile'), text);
    const progress = new BuildProgress(new VertexNames(request.name, planned), reporter, finder);
    if (!(await runClient(builder, command, { cwd, environment: variables, progress, signal })))
      throw stepError(request.dockerfile, progress.failed, progress.complaint);
  };
  await run(false).catch(async (error: unknown) => {
    if (!isWithoutSecretVariables(error)) throw error;
    refuseSecretFiles(planned.plan, request.dockerfile);
    await run(true);
  });
  const layers = await importLayers(store, join(cwd, RESULT), { base, platform, finder, signal });
  return writeImage(store, { config, layers, platform });
}

/** The layers of the image that a stage is FROM, at last. */
function baseLayers(planned: RequestPlan, stage: StagePlan): readonly Layer[] {
  const { plan, images } = planned;
  const { base } = stage;
  if (base.kind === 'scratch') return [];
  if (base.kind === 'stage') {
    const parent = plan.stages.find(({ index }) => index === base.index);
    if (parent === undefined) throw new Error('the plan lacks a stage');
    return baseLayers(planned, parent);
  }
  const image = images.get(imageKey(base));
  if (image === undefined) throw new Error(`${base.text} is not among the images`);
  return layersOf(image);
}

function stepError(file: SourceFile, failed: FailedStep | undefined, complaint: string): LktError {
  if (failed === undefined)
    return new LktError('BUILD_FAILED', 'BuildKit did not build the image', { detail: complaint });
  const { step, log } = failed;
  const { title, position } = step;
  // The process and its arguments stand before the reason.
  const reason = failed.error.replace(/^process "[\s\S]*" did not complete successfully: /, '');
  const status = /^exit code: (\d+)/.exec(reason)?.[1];
  const how = status === undefined ? reason : `the command ended with status ${status}`;
  if (log === '') return sourceError('BUILD_FAILED', file, position, `${title}: ${how}`);
  const message = `${file.path}:${position.line}:${position.column}: ${title}: ${how}`;
  return new LktError('BUILD_FAILED', message, { detail: log });
}
