import { type ContainerConfig, formatPlatform, parsePlatform } from '@lkt/oci';
import { LktError } from '@lkt/core';
import type { Dockerfile, Instruction, Stage, Warning, Word } from '../parse/ast.ts';
import { globalVariables, type ScopeOptions, WordReader } from './scope.ts';
import { errorAt } from '../parse/source-text.ts';
import type { ImageOrigin, Origin } from './steps.ts';
import { parseTriggers, type Trigger, triggerText } from '../parse/triggers.ts';

/** The base of a stage: scratch, another stage or an image. */
export type BaseOrigin = Exclude<Origin, { kind: 'context' }>;

/** A stage with its base, platform and dependencies. */
export interface ResolvedStage {
  readonly stage: Stage;
  readonly platform: string;
  readonly base: BaseOrigin;
  /** The ONBUILD triggers of the base, which run first. */
  readonly triggers: readonly Trigger[];
  /**
   * The stages whose files this one uses, including its base, each with the word that names it.
   * Ascending.
   */
  readonly needs: readonly { readonly index: number; readonly word: Word }[];
}

/** Returns the `config` object of an image; undefined if the image has none or is unknown. */
export type ImageConfigLookup = (image: ImageOrigin) => ContainerConfig | undefined;

/** The stages of a Dockerfile with their bases resolved. */
export class StageGraph {
  readonly stages: readonly ResolvedStage[];
  readonly reader: WordReader;
  /** The variables in scope of FROM. */
  readonly globals: ReadonlyMap<string, string>;
  readonly #dockerfile: Dockerfile;
  readonly #platform: string;
  readonly #imageConfig: ImageConfigLookup;

  /** @param warnings receives a warning for each unset variable */
  constructor(
    dockerfile: Dockerfile,
    options: ScopeOptions & { readonly imageConfig?: ImageConfigLookup },
    warnings: Warning[] = [],
  ) {
    this.reader = new WordReader(dockerfile, warnings);
    this.globals = globalVariables(dockerfile, this.reader, options);
    this.#dockerfile = dockerfile;
    this.#platform = formatPlatform(options.platform);
    this.#imageConfig = options.imageConfig ?? (() => undefined);
    const resolved: ResolvedStage[] = [];
    for (const stage of dockerfile.stages) resolved.push(this.#resolve(stage, resolved));
    this.stages = resolved;
  }

  /**
   * Resolves a `--from`: a stage by name or number, else an image.
   * @param from the stage that contains the instruction
   * @throws DOCKERFILE_INVALID for a number without a stage, or the stage itself
   */
  origin(word: Word, from: Stage): BaseOrigin {
    const text = word.text;
    if (text.toLowerCase() === 'scratch') return { kind: 'scratch' };
    const index = /^\d+$/.test(text)
      ? Number(text)
      : (this.#stageNamed(text, from.index) ?? this.#laterStageNamed(text, from.index));
    if (index === undefined) return this.#image(word, text, this.#platform);
    if (index >= this.#dockerfile.stages.length)
      throw this.#error(
        word,
        `there is no stage ${text}`,
        `use a number from 0 to ${this.#dockerfile.stages.length - 1}`,
      );
    if (index === from.index)
      throw this.#error(word, `the stage "${text}" cannot copy from itself`, 'name another stage');
    return { kind: 'stage', index };
  }

  /**
   * Returns the stage to build by name or number; the last one for undefined.
   * @throws DOCKERFILE_INVALID if the stage does not exist
   */
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
          names.length === 0
            ? 'use the number of a stage; none has a name'
            : `use one of: ${names.join(', ')}`,
      },
    );
  }

  /**
   * Returns the stages that a target needs, each after its dependencies; the target is last.
   * @throws DOCKERFILE_INVALID for a dependency cycle
   */
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
        if (open.has(index))
          throw this.#error(
            word,
            `the stages ${[...open].slice([...open].indexOf(index)).join(', ')} depend on each other`,
            'remove one of the references to break the cycle',
          );
        visit(needed);
      }
      open.delete(current.stage.index);
      done.add(current.stage.index);
      order.push(current);
    };
    visit(target);
    return order;
  }

  #resolve(stage: Stage, earlier: readonly ResolvedStage[]): ResolvedStage {
    const { image } = stage.from;
    const text = this.reader.word(image, this.globals, 'UndefinedArgInFrom');
    if (text === '')
      throw this.#error(
        image,
        `the image of FROM is empty after expanding ${image.text}`,
        this.reader
          .emptyFix(image, this.globals)
          .replace(/^set.*/, 'set a default, as in ARG NAME=value before FROM'),
      );
    const written = this.#writtenPlatform(stage);
    const index = this.#stageNamed(text, stage.index);
    const parent = index === undefined ? undefined : earlier[index];
    const platform = written ?? parent?.platform ?? this.#platform;
    let base: BaseOrigin;
    if (text.toLowerCase() === 'scratch') base = { kind: 'scratch' };
    else if (index !== undefined) base = { kind: 'stage', index };
    else base = this.#image(image, text, platform);
    const triggers = this.#triggers(stage, base);
    const needs = [...triggers.map(({ instruction }) => instruction), ...stage.instructions]
      .flatMap(fromReferences)
      .map((word) => ({ word, origin: this.origin(word, stage) }))
      .concat([{ word: image, origin: base }])
      .flatMap(({ word, origin }) =>
        origin.kind === 'stage' ? [{ index: origin.index, word }] : [],
      )
      .toSorted((a, b) => a.index - b.index);
    return { stage, platform, base, triggers, needs };
  }

  #writtenPlatform(stage: Stage): string | undefined {
    const word = stage.from.platform;
    if (word === undefined) return undefined;
    const text = this.reader.word(word, this.globals, 'UndefinedArgInFrom');
    try {
      return formatPlatform(parsePlatform(text));
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      throw this.#error(
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
              instruction.keyword === 'ONBUILD' ? [triggerText(instruction.trigger)] : [],
            )
          : [];
    return parseTriggers(texts, this.#dockerfile.file, stage.from);
  }

  /** Returns the index of the last stage with that name before `limit`. */
  #stageNamed(name: string, limit: number): number | undefined {
    return this.#dockerfile.stages
      .slice(0, limit)
      .findLast(({ from }) => from.name === name.toLowerCase())?.index;
  }

  #laterStageNamed(name: string, first: number): number | undefined {
    return this.#dockerfile.stages.slice(first).find(({ from }) => from.name === name.toLowerCase())
      ?.index;
  }

  #error(word: Word, message: string, fix: string): LktError {
    return errorAt(this.#dockerfile.file, word, message, fix);
  }

  #image(word: Word, text: string, platform: string): ImageOrigin {
    const { position, offset, length } = word;
    return { kind: 'image', text, platform, position, offset, length };
  }
}

/** Returns the values of `--from` and `from=` in an instruction. */
export function fromReferences(instruction: Instruction): readonly Word[] {
  if (instruction.keyword === 'COPY' || instruction.keyword === 'ADD')
    return instruction.from === undefined ? [] : [instruction.from];
  if (instruction.keyword !== 'RUN') return [];
  return instruction.mounts.map((mount) => mount.from).filter((word) => word !== undefined);
}
