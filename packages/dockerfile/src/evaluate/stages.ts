import { type ContainerConfig, formatPlatform, parsePlatform, type Platform } from '@lkt/oci';
import { LktError } from '@lkt/core';
import type { Dockerfile, Instruction, Stage, Word } from '../parse/ast.ts';
import type { WordReader } from './scope.ts';
import { placeError } from '../parse/source-text.ts';
import type { ImageOrigin, Origin } from './steps.ts';
import { parseTriggers, type Trigger, triggerText } from '../parse/triggers.ts';

export type BaseOrigin = Exclude<Origin, { kind: 'context' }>;

export interface ResolvedStage {
  readonly stage: Stage;
  readonly platform: string;
  readonly base: BaseOrigin;
  /** What the base has done first (ONBUILD). */
  readonly triggers: readonly Trigger[];
  /** Stages this one takes files from, its base among them, each with the word that says so. Ascending. */
  readonly needs: readonly { readonly index: number; readonly word: Word }[];
}

/** The `config` object of an image; undefined where it has none, or is not known. */
export type FindConfig = (image: ImageOrigin) => ContainerConfig | undefined;

/** The stages of a Dockerfile with their bases resolved. */
export class StageGraph {
  readonly stages: readonly ResolvedStage[];
  readonly #dockerfile: Dockerfile;
  readonly #platform: string;
  readonly #imageConfig: FindConfig;

  constructor(
    dockerfile: Dockerfile,
    reader: WordReader,
    variables: ReadonlyMap<string, string>,
    target: Platform,
    imageConfig: FindConfig = () => undefined,
  ) {
    this.#dockerfile = dockerfile;
    this.#platform = formatPlatform(target);
    this.#imageConfig = imageConfig;
    const resolved: ResolvedStage[] = [];
    for (const stage of dockerfile.stages) {
      resolved.push(this.#resolve(stage, resolved, reader, variables));
    }
    this.stages = resolved;
  }

  /**
   * What a `--from` names: a stage by name, by number, else an image.
   * @param from the stage the instruction is in.
   */
  origin(word: Word, from: Stage): BaseOrigin {
    const text = word.text;
    if (text.toLowerCase() === 'scratch') return { kind: 'scratch' };
    const index = /^\d+$/.test(text)
      ? Number(text)
      : (this.#stageNamed(text, from.index) ?? this.#laterStageNamed(text, from.index));
    if (index === undefined) return this.#image(word, text, this.#platform);
    if (index >= this.#dockerfile.stages.length) {
      throw placeError(
        this.#dockerfile.file,
        word,
        `there is no stage ${text}`,
        `the stages are numbered from 0 to ${this.#dockerfile.stages.length - 1}`,
      );
    }
    if (index === from.index) {
      throw placeError(
        this.#dockerfile.file,
        word,
        `the stage "${text}" cannot copy from itself`,
        'name another stage',
      );
    }
    return { kind: 'stage', index };
  }

  /** The stage to build by name or number; the last one for undefined. */
  target(name: string | undefined): ResolvedStage {
    const last = this.stages.length - 1;
    const index =
      name === undefined
        ? last
        : (this.#stageNamed(name, this.stages.length) ??
          (/^\d+$/.test(name) ? Number(name) : undefined));
    const found = index === undefined ? undefined : this.stages[index];
    if (found !== undefined) return found;
    const names = this.#dockerfile.stages.map(({ from }) => from.name).filter(Boolean);
    throw new LktError(
      'DOCKERFILE_INVALID',
      `${this.#dockerfile.file.path}: there is no stage "${name ?? ''}" to build`,
      {
        fix:
          names.length === 0 ? 'its stages have no names' : `its stages are: ${names.join(', ')}`,
      },
    );
  }

  /** The stages a target needs, itself last, each after those it needs. */
  order(target: ResolvedStage): readonly ResolvedStage[] {
    const done = new Set<number>();
    const order: ResolvedStage[] = [];
    const open = new Set<number>();
    const visit = (current: ResolvedStage): void => {
      if (done.has(current.stage.index)) return;
      open.add(current.stage.index);
      for (const { index, word } of current.needs) {
        const needed = this.stages[index];
        if (needed === undefined) continue;
        if (open.has(index)) {
          throw placeError(
            this.#dockerfile.file,
            word,
            `the stages ${[...open].slice([...open].indexOf(index)).join(', ')} need each other`,
            'take one of the references out of the circle',
          );
        }
        visit(needed);
      }
      open.delete(current.stage.index);
      done.add(current.stage.index);
      order.push(current);
    };
    visit(target);
    return order;
  }

  #resolve(
    stage: Stage,
    earlier: readonly ResolvedStage[],
    reader: WordReader,
    variables: ReadonlyMap<string, string>,
  ): ResolvedStage {
    const { image } = stage.from;
    const text = reader.word(image, variables, 'UndefinedArgInFrom');
    if (text === '') {
      throw placeError(
        this.#dockerfile.file,
        image,
        `the image of FROM is empty after the variables in ${image.text} are replaced`,
        reader
          .emptyFix(image, variables)
          .replace(/^give.*/, 'give the variable a default, as in ARG NAME=value before FROM'),
      );
    }
    const written = this.#writtenPlatform(stage, reader, variables);
    const index = this.#stageNamed(text, stage.index);
    const parent = index === undefined ? undefined : earlier[index];
    const platform = written ?? parent?.platform ?? this.#platform;
    let base: BaseOrigin;
    if (text.toLowerCase() === 'scratch') base = { kind: 'scratch' };
    else if (index !== undefined) base = { kind: 'stage', index };
    else base = this.#image(image, text, platform);
    const triggers = this.#triggers(stage, base);
    const needs = [...triggers.map(({ instruction }) => instruction), ...stage.instructions]
      .flatMap(referencesOf)
      .map((word) => ({ word, origin: this.origin(word, stage) }))
      .concat([{ word: image, origin: base }])
      .flatMap(({ word, origin }) =>
        origin.kind === 'stage' ? [{ index: origin.index, word }] : [],
      )
      .toSorted((a, b) => a.index - b.index);
    return { stage, platform, base, triggers, needs };
  }

  #writtenPlatform(
    stage: Stage,
    reader: WordReader,
    variables: ReadonlyMap<string, string>,
  ): string | undefined {
    const word = stage.from.platform;
    if (word === undefined) return undefined;
    const text = reader.word(word, variables, 'UndefinedArgInFrom');
    try {
      return formatPlatform(parsePlatform(text));
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      throw placeError(
        this.#dockerfile.file,
        word,
        `"${text}" is not a platform`,
        'write it as linux/amd64, or $BUILDPLATFORM',
      );
    }
  }

  #triggers(stage: Stage, base: BaseOrigin): readonly Trigger[] {
    const texts =
      base.kind === 'image'
        ? (this.#imageConfig(base)?.OnBuild ?? [])
        : base.kind === 'stage'
          ? (this.#dockerfile.stages[base.index]?.instructions ?? []).flatMap((instruction) =>
              instruction.keyword === 'ONBUILD' ? [triggerText(instruction)] : [],
            )
          : [];
    return parseTriggers(texts, this.#dockerfile.file, stage.from);
  }

  /** The last stage of that name before `limit`. */
  #stageNamed(name: string, limit: number): number | undefined {
    const wanted = name.toLowerCase();
    const index = this.#dockerfile.stages
      .slice(0, limit)
      .findLastIndex((stage) => stage.from.name === wanted);
    return index === -1 ? undefined : index;
  }

  #laterStageNamed(name: string, from: number): number | undefined {
    const wanted = name.toLowerCase();
    const index = this.#dockerfile.stages.findIndex(
      (stage) => stage.index >= from && stage.from.name === wanted,
    );
    return index === -1 ? undefined : index;
  }

  #image(word: Word, text: string, platform: string): ImageOrigin {
    const { position, offset, length } = word;
    return { kind: 'image', text, platform, position, offset, length };
  }
}

/** The words after `--from` and `from=` in an instruction. */
export function referencesOf(instruction: Instruction): readonly Word[] {
  if (instruction.keyword === 'COPY' || instruction.keyword === 'ADD')
    return instruction.from === undefined ? [] : [instruction.from];
  if (instruction.keyword !== 'RUN') return [];
  return instruction.mounts.map((mount) => mount.from).filter((word) => word !== undefined);
}
