import { nearest, type Position } from '@lkt/core';
import type { Platform } from '@lkt/oci';
import type { Dockerfile } from '../parse/ast.ts';
import type { ScopeOptions } from './scope.ts';
import { type ImageConfigLookup, fromReferences, StageGraph } from './stages.ts';

/** A reference in a Dockerfile to an image that is not one of its stages. */
export interface ImageReference {
  /** The reference after expansion: the key of `BuildRequest.bases`. */
  readonly text: string;
  /**
   * The reference as written: `length` UTF-16 units at `offset` of the file. Pinning replaces this
   * text.
   */
  readonly written: string;
  readonly position: Position;
  readonly offset: number;
  readonly length: number;
  /** The platform of the image, as `os/architecture[/variant]`. */
  readonly platform: string;
  /**
   * Whether the target needs the stage, as far as ONBUILD triggers are known. Other stages are not
   * built, so their images need no pin.
   */
  readonly isNeeded: boolean;
  /** Whether a stage is FROM it, so that evaluation needs its config. */
  readonly isBase: boolean;
  /**
   * The ONBUILD trigger that names the image. The position is then that of the base image's
   * reference.
   */
  readonly trigger: string | undefined;
  /**
   * A stage with a similar name, if the reference has neither tag nor digest: a likely typing
   * error.
   */
  readonly similarStage: string | undefined;
}

/**
 * Returns the images that FROM, `COPY --from` and `RUN --mount=from=` name, except stages and
 * `scratch`, in written order. An image that is named twice appears twice.
 * @param options.imageConfig returns known configs of base images, whose ONBUILD triggers may name
 * further images
 * @param options.target limits the result to the images that this stage needs; default: all stages
 * @throws DOCKERFILE_INVALID if a word cannot be expanded or names no stage
 * @example
 * ```ts
 * const images = imageReferences(dockerfile, new Map(), { os: 'linux', architecture: 'amd64' });
 * for (const { text, platform } of images) await pull(text, platform);
 * ```
 */
export function imageReferences(
  dockerfile: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
  platform: Platform,
  options: Pick<ScopeOptions, 'target' | 'buildPlatform'> & {
    readonly imageConfig?: ImageConfigLookup;
  } = {},
): readonly ImageReference[] {
  const graph = new StageGraph(dockerfile, { ...options, buildArgs, platform });
  const names = dockerfile.stages.flatMap(({ from: { name } }) => name ?? []);
  const order = graph.order(graph.target(options.target));
  const needed = new Set(order.map(({ stage }) => stage.index));
  return (options.target === undefined ? graph.stages : order)
    .flatMap(({ stage, base, triggers }) => [
      {
        word: stage.from.image,
        origin: base,
        isNeeded: needed.has(stage.index),
        isBase: true,
        trigger: undefined,
      },
      ...[
        ...triggers.map(({ title, instruction }) => ({ instruction, trigger: title })),
        ...stage.instructions.map((instruction) => ({ instruction, trigger: undefined })),
      ].flatMap(({ instruction, trigger }) =>
        fromReferences(instruction).map((word) => ({
          word,
          origin: graph.origin(word, stage),
          isNeeded: needed.has(stage.index),
          isBase: false,
          trigger,
        })),
      ),
    ])
    .flatMap(({ word, origin, isNeeded, isBase, trigger }) => {
      if (origin.kind !== 'image') return [];
      const { position, offset, length } = word;
      const written = dockerfile.file.text.slice(offset, offset + length);
      const { text, platform: wanted } = origin;
      const similarStage = /^[\w.-]+$/.test(text) ? nearest(text, names) : undefined;
      const span = { written, position, offset, length };
      return [{ text, ...span, platform: wanted, isNeeded, isBase, trigger, similarStage }];
    })
    .toSorted((a, b) => a.offset - b.offset);
}
