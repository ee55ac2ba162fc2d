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
import { rejectUnsupported } from './unsupported.ts';
import { lacksSecretVariables, rejectSecretFiles } from './secret-variables.ts';
import { DOCKERFILE_DIR, RESULT_DIR, stageInputs } from './staging.ts';
import { VertexNames } from './vertex-names.ts';

/** Options of the BuildKit engine. */
export interface BuildkitOptions {
  /**
   * Addresses: `tcp://HOST:PORT`, `unix:///PATH`, `docker-container://NAME` (with buildctl), or
   * `buildx:NAME` (with docker). The prefix `OS/ARCH=` limits one to a platform.
   */
  readonly builders: readonly string[];
  /**
   * Environment of buildctl and docker: PATH, HOME, and their own variables such as DOCKER_HOST.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The engine for platforms without a builder. */
  readonly fallback: Engine;
}

/**
 * Returns an engine that runs the steps in BuildKit: on other machines, and for other
 * architectures.
 *
 * BuildKit receives all inputs from the store and returns layers. lkt itself writes the image
 * config, as for the native engine, so the image is the same.
 * @throws USAGE_INVALID for invalid builder addresses
 * @example
 * ```ts
 * const builders = ['buildx:default'];
 * const engine = buildkitEngine({ builders, environment, fallback: nativeEngine() });
 * await engine.build(request, { store, reporter });
 * ```
 */
export function buildkitEngine({ builders, environment, fallback }: BuildkitOptions): Engine {
  const known = parseBuilders(builders);
  // A builder for one platform counts as a machine of that platform.
  const buildPlatform = (platform: Platform): Platform =>
    known.platforms.has(formatPlatform(platform)) ? platform : buildPlatformFor(platform);
  return {
    buildPlatform,
    build: async (request, around) => {
      const builder = builderFor(known, request.platform);
      if (builder === undefined) return fallback.build(request, around);
      const full = { ...request, buildPlatform: buildPlatform(request.platform) };
      return build(builder, environment, full, around);
    },
    close: async () => fallback.close?.(),
  };
}

async function build(
  builder: Builder,
  environment: BuildkitOptions['environment'],
  request: BuildRequest,
  around: BuildContext,
): Promise<Descriptor> {
  const { store, reporter, signal } = around;
  if (Object.keys(request.limits ?? {}).length > 0 || request.executor !== undefined)
    throw new LktError(
      'UNSUPPORTED',
      'limits and executors of RUN work only for builds on this machine',
      { fix: 'remove --builder, or set limits on the machine of that BuildKit' },
    );
  const planned = await planRequest(request, around);
  rejectUnsupported(planned, request);
  const { platform, labels } = request;
  const config = imageMetadata(planned.target, labels);
  const credentials = await readCredentials(planned.plan, request.dockerfile, request);
  refuseSecretConfig(config, credentials);
  const finder = new SecretFinder(credentials.secrets);
  const base = baseLayers(planned, planned.target);
  await using directory = await store.tempDir();
  const fetched = await fetchedImages(planned, request, around);
  const images = [...(await namedContexts(planned, store)), ...fetched];
  const context = await stageInputs(directory.path, planned, request, around, builder.program);
  const staged = await stageCredentials(directory.path, credentials, request);
  const { words } = staged;
  const command = buildCommand(builder, planned, request, { context, credentials: words, images });
  const cwd = directory.path;
  const variables = { ...environment, ...staged.variables };
  const run = async (secretsAsFiles: boolean): Promise<void> => {
    const text = dockerfileText(planned, { fetched, secretsAsFiles });
    await writeFile(join(cwd, DOCKERFILE_DIR, 'Dockerfile'), text);
    const progress = new BuildProgress(new VertexNames(request.name, planned), reporter, finder);
    if (!(await runClient(builder, command, { cwd, environment: variables, progress, signal })))
      throw stepError(request.dockerfile, progress.failed, progress.messages);
  };
  await run(false).catch(async (error: unknown) => {
    if (!lacksSecretVariables(error)) throw error;
    rejectSecretFiles(planned.plan, request.dockerfile);
    await run(true);
  });
  const layers = await importLayers(store, join(cwd, RESULT_DIR), {
    base,
    platform,
    finder,
    signal,
  });
  return writeImage(store, { config, layers, platform });
}

/** Returns the layers of the image that a stage is FROM, through all its base stages. */
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

function stepError(file: SourceFile, failed: FailedStep | undefined, messages: string): LktError {
  if (failed === undefined)
    return new LktError('BUILD_FAILED', 'BuildKit did not build the image', { detail: messages });
  const { step, log } = failed;
  const { title, position } = step;
  // BuildKit puts the process and its arguments before the reason.
  const reason = failed.error.replace(/^process "[\s\S]*" did not complete successfully: /, '');
  const status = /^exit code: (\d+)/.exec(reason)?.[1];
  const how = status === undefined ? reason : `the command ended with status ${status}`;
  if (log === '') return sourceError('BUILD_FAILED', file, position, `${title}: ${how}`);
  const message = `${file.path}:${position.line}:${position.column}: ${title}: ${how}`;
  return new LktError('BUILD_FAILED', message, { detail: log });
}
