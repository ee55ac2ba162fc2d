import { nearest, type Position } from '@lkt/core';
import type { Platform } from '@lkt/oci';
import type { Dockerfile } from '../parse/ast.ts';
import { globalVariables, WordReader } from './scope.ts';
import { type FindConfig, referencesOf, StageGraph } from './stages.ts';

/** An image from outside that a Dockerfile names. */
export interface ImageReference {
  /** With its variables replaced: the key of `BuildRequest.bases`. */
  readonly text: string;
  /** As it stands in the file, at `offset`, `length` UTF-16 units. A pin is written by replacing that. */
  readonly written: string;
  readonly position: Position;
  readonly offset: number;
  readonly length: number;
  /** `os/architecture[/variant]` the image is wanted for. */
  readonly platform: string;
  /** Whether a stage is FROM it, so that its config is needed to evaluate the Dockerfile. */
  readonly isBase: boolean;
  /** The ONBUILD trigger that names it; then it stands nowhere in the file, and the place is that of the base. */
  readonly trigger: string | undefined;
  /** A stage that may have been meant: its name is like this one, which has neither tag nor digest. */
  readonly similarStage: string | undefined;
}

/**
 * The images that FROM, `COPY --from` and `RUN --mount=from=` name and that are neither stages nor `scratch`, in
 * written order; one that is named twice is there twice.
 * @param options.imageConfig configs of base images, as far as known: what their triggers name is there too.
 * @param options.target only what this stage needs; by default the images of all stages.
 * @throws LktError DOCKERFILE_INVALID
 */
export function imageReferences(
  dockerfile: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
  platform: Platform,
  options: {
    readonly target?: string;
    readonly buildPlatform?: Platform;
    readonly imageConfig?: FindConfig;
  } = {},
): readonly ImageReference[] {
  const reader = new WordReader(dockerfile, []);
  const variables = globalVariables(dockerfile, reader, buildArgs, {
    target: platform,
    build: options.buildPlatform ?? platform,
    stage: options.target,
  });
  const graph = new StageGraph(dockerfile, reader, variables, platform, options.imageConfig);
  const names = dockerfile.stages.flatMap(({ from: { name } }) => name ?? []);
  const stages =
    options.target === undefined ? graph.stages : graph.order(graph.target(options.target));
  return stages
    .flatMap(({ stage, base, triggers }) => [
      { word: stage.from.image, origin: base, isBase: true, trigger: undefined },
      ...[
        ...triggers.map(({ title, instruction }) => ({ instruction, trigger: title })),
        ...stage.instructions.map((instruction) => ({ instruction, trigger: undefined })),
      ].flatMap(({ instruction, trigger }) =>
        referencesOf(instruction).map((word) => ({
          word,
          origin: graph.origin(word, stage),
          isBase: false,
          trigger,
        })),
      ),
    ])
    .flatMap(({ word, origin, isBase, trigger }) => {
      if (origin.kind !== 'image') return [];
      const { position, offset, length } = word;
      const written = dockerfile.file.text.slice(offset, offset + length);
      const { text, platform: wanted } = origin;
      const similarStage = /^[\w.-]+$/.test(text) ? nearest(text, names) : undefined;
      const span = { written, position, offset, length };
      return [{ text, ...span, platform: wanted, isBase, trigger, similarStage }];
    })
    .toSorted((a, b) => a.offset - b.offset);
}
