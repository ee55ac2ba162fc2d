import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { RequestPlan } from '@lkt/builder';
import {
  imageKey,
  type Instruction,
  parseTrigger,
  fromReferences,
  type StagePlan,
  type Step,
} from '@lkt/dockerfile';
import type { FetchedImage } from './fetched-images.ts';
import { contextNames } from './named-contexts.ts';
import { hasSecretVariables, secretFileEdits } from './secret-variables.ts';
import { applyEdits, type Edit, lineStart } from './text-edit.ts';

/** Options of `dockerfileText`. `fetched` has the downloads of ADD as images. */
export interface TextOptions {
  readonly fetched?: readonly FetchedImage[];
  /**
   * Passes secrets with `env=` as files, which a shell reads into variables; for BuildKit before
   * 0.16.
   */
  readonly secretsAsFiles?: boolean;
}

/**
 * Returns the Dockerfile for BuildKit, changed so that BuildKit fetches nothing and commands see
 * the same as in lkt:
 *
 * - images have the names of `contextNames`, so BuildKit neither resolves them nor confuses them
 *   with stages;
 * - downloads of ADD are copied from an image that contains them;
 * - ONBUILD triggers of a base follow its FROM as instructions, and no ONBUILD remains;
 * - `# syntax=`, for which BuildKit would fetch a frontend, is removed;
 * - every stage declares SOURCE_DATE_EPOCH, because BuildKit passes it only to such stages.
 */
export function dockerfileText(planned: RequestPlan, options: TextOptions = {}): string {
  const { dockerfile, plan, references } = planned;
  const { text } = dockerfile.file;
  const names = contextNames(planned);
  const edits: Edit[] = references.map((reference) => ({
    offset: reference.offset,
    length: reference.length,
    text: names.get(imageKey(reference)) ?? '',
  }));
  const { syntax } = dockerfile.directives;
  if (syntax !== undefined) {
    const start = lineStart(text, syntax.offset);
    const end = text.indexOf('\n', start);
    edits.push({ offset: start, length: (end === -1 ? text.length : end + 1) - start, text: '' });
  }
  const steps = new Map<Instruction, Step>(
    plan.stages.flatMap((stage) =>
      stage.steps
        .filter(({ isTrigger }) => isTrigger !== true)
        .map((step) => [step.instruction, step] as const),
    ),
  );
  const stages = new Map(plan.stages.map((stage) => [stage.index, stage]));
  for (const [index, { from, instructions }] of dockerfile.stages.entries()) {
    const plannedStage = stages.get(index);
    const triggers = plannedStage === undefined ? [] : triggerLines(planned, plannedStage, options);
    const lines = [`ARG SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}`, ...triggers];
    const [first] = instructions;
    if (first !== undefined)
      edits.push({
        offset: lineStart(text, first.offset),
        length: 0,
        text: `${lines.join('\n')}\n`,
      });
    else if (triggers.length > 0)
      edits.push({ offset: from.offset + from.length, length: 0, text: `\n${lines.join('\n')}` });
    const after = dockerfile.stages[index + 1]?.from;
    for (const [at, instruction] of instructions.entries()) {
      const next = instructions[at + 1] ?? after;
      // Here-documents are between an instruction and the next.
      const end = next === undefined ? text.length : lineStart(text, next.offset);
      if (instruction.keyword === 'ONBUILD')
        edits.push({ offset: instruction.offset, length: end - instruction.offset, text: '' });
      const step = steps.get(instruction);
      if (step !== undefined) edits.push(...stepEdits(step, instruction, { text, end }, options));
    }
  }
  return applyEdits(text, edits);
}

/** Returns the ONBUILD triggers of a stage's base as instructions. */
function triggerLines(
  planned: RequestPlan,
  stage: StagePlan,
  options: TextOptions,
): readonly string[] {
  const names = contextNames(planned);
  const steps = stage.steps.filter(({ isTrigger }) => isTrigger === true);
  return stage.baseTriggers.map(({ title, text }) => {
    const instruction = parseTrigger({ path: planned.dockerfile.file.path, text });
    const edits = fromReferences(instruction).flatMap(({ text: name, offset, length }): Edit[] => {
      const found = planned.triggerReferences.find(
        (reference) => reference.trigger === title && reference.text === name,
      );
      const given = found === undefined ? undefined : names.get(imageKey(found));
      return given === undefined ? [] : [{ offset, length, text: given }];
    });
    if (steps[0]?.title === title) {
      const step = steps.shift();
      if (step !== undefined)
        edits.push(...stepEdits(step, instruction, { text, end: text.length }, options));
    }
    return applyEdits(text, edits).trimEnd();
  });
}

/** @param instruction the instruction of the step, with offsets in the text */
function stepEdits(
  step: Step,
  instruction: Instruction,
  place: { readonly text: string; readonly end: number },
  { fetched = [], secretsAsFiles = false }: TextOptions,
): readonly Edit[] {
  if (secretsAsFiles && step.kind === 'run' && hasSecretVariables(step))
    return secretFileEdits(step, instruction, place);
  const image = fetched.find((candidate) => candidate.step === step);
  return image === undefined ? [] : copyEdits(image, instruction, place.text);
}

/**
 * Returns the edits that turn an ADD of a download into a COPY from its image. Drops flags that
 * COPY lacks.
 */
function copyEdits(
  { name, path }: FetchedImage,
  instruction: Instruction,
  text: string,
): readonly Edit[] {
  if (instruction.keyword !== 'ADD') throw new Error('only ADD fetches');
  const { offset, flags, sources, destination } = instruction;
  const dropped = flags.filter(({ name: flag }) =>
    ['checksum', 'keep-git-dir', 'unpack'].includes(flag),
  );
  return [
    { offset, length: 'ADD'.length, text: `COPY --from=${name}` },
    ...dropped.map((flag) => ({ offset: flag.offset, length: flag.length, text: '' })),
    ...sources.map((source) => ({
      offset: source.offset,
      length: source.length,
      // Words of a JSON array have the span of the whole array.
      text: text[source.offset] === '[' ? JSON.stringify([path, destination.text]) : path,
    })),
  ];
}
