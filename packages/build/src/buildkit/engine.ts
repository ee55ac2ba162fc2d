import { join } from 'node:path';
import { LktError, sourceError } from '@lkt/core';
import { type Descriptor, type Layer, writeImage } from '@lkt/oci';
import { imageKey, type StagePlan } from '../dockerfile/steps.ts';
import type { BuildContext, BuildRequest, Engine } from '../engine.ts';
import { imageMetadata } from '../image-metadata.ts';
import { layersOf, planRequest, type RequestPlan } from '../request-plan.ts';
import { type Builder, parseBuilder } from './address.ts';
import { runClient } from './client.ts';
import { buildCommand } from './command.ts';
import { importLayers } from './import-layers.ts';
import { BuildProgress, type FailedStep } from './progress.ts';
import { refuseForeignInputs } from './refuse.ts';
import { RESULT, stageInputs } from './staging.ts';

export interface BuildkitOptions {
  /** `tcp://HOST:PORT`, `unix:///PATH`, `docker-container://NAME` (by buildctl), or `buildx:NAME` (by docker). */
  readonly address: string;
  /** Of buildctl and docker: PATH, HOME, and what they take of their own, such as DOCKER_HOST. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * The engine that has BuildKit do the steps: on other machines, and for other architectures.
 *
 * BuildKit gets all it needs from the store and gives back layers; what the image says of itself is made here, as for
 * the native engine, so that the image is the same.
 * @throws LktError USAGE_INVALID
 */
export function buildkitEngine({ address, environment }: BuildkitOptions): Engine {
  const builder = parseBuilder(address);
  return { build: async (request, around) => build(builder, environment, request, around) };
}

async function build(
  builder: Builder,
  environment: BuildkitOptions['environment'],
  request: BuildRequest,
  around: BuildContext,
): Promise<Descriptor> {
  const { store, reporter, signal } = around;
  const planned = await planRequest(request, around);
  refuseForeignInputs(planned, request);
  const { platform, labels } = request;
  const base = baseLayers(planned, planned.target);
  await using directory = await store.tempDir();
  await stageInputs(directory.path, planned, request, around);
  const progress = new BuildProgress(request.name, reporter);
  const command = buildCommand(builder, planned, request);
  const cwd = directory.path;
  if (!(await runClient(builder, command, { cwd, environment, progress, signal })))
    throw stepError(planned, progress.failed, progress.complaint);
  const layers = await importLayers(store, join(cwd, RESULT), { base, platform, signal });
  return writeImage(store, { config: imageMetadata(planned.target, labels), layers, platform });
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

function stepError(
  { plan, dockerfile: { file } }: RequestPlan,
  failed: FailedStep | undefined,
  complaint: string,
): LktError {
  if (failed === undefined)
    return new LktError('BUILD_FAILED', 'BuildKit did not build the image', { detail: complaint });
  const { title, stage: label, log } = failed;
  // The process and its arguments stand before the reason.
  const reason = failed.error.replace(/^process "[\s\S]*" did not complete successfully: /, '');
  const status = /^exit code: (\d+)/.exec(reason)?.[1];
  const how = status === undefined ? reason : `the command ended with status ${status}`;
  const stages = plan.stages.filter(
    ({ name, index }) => label === undefined || (name ?? `stage-${index}`) === label,
  );
  const step = stages.flatMap(({ steps }) => steps).find((candidate) => candidate.title === title);
  if (step !== undefined && log === '')
    return sourceError('BUILD_FAILED', file, step.position, `${title}: ${how}`);
  const at = step === undefined ? '' : `:${step.position.line}:${step.position.column}`;
  const message = `${file.path}${at}: ${title}: ${how}`;
  return new LktError('BUILD_FAILED', message, log === '' ? {} : { detail: log });
}
