import { LktError, type SourceFile } from '@lkt/core';
import type { FromInstruction, Instruction, OnbuildInstruction, Span } from './ast.ts';
import { parseInstruction } from './instructions.ts';
import { placeError, SourceText } from './source-text.ts';
import { parseSyntax } from './syntax.ts';

/** An instruction that a base brings along, as if it stood right after FROM (Dockerfile reference, "ONBUILD"). */
export interface Trigger {
  /** `ONBUILD` and the instruction on one line, for people. */
  readonly title: string;
  /** The instruction on one line, and the here-documents it opens. */
  readonly text: string;
  /** Every place in it is the FROM, as its text is in no file. */
  readonly instruction: Instruction;
}

/** More than any image has; each is parsed whenever the image is used. */
const MAX_TRIGGERS = 1000;

/** The text of an ONBUILD as an image keeps it: the instruction, then the here-documents it opens. */
export function triggerText({ trigger }: OnbuildInstruction): string {
  return instructionText(trigger);
}

function instructionText({ text, heredocs }: Instruction): string {
  return text + heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
}

/**
 * Parses the triggers of a base.
 * @param from the FROM that names the base
 * @throws LktError DOCKERFILE_INVALID at the FROM, with the text of the trigger
 */
export function parseTriggers(
  texts: readonly string[],
  file: SourceFile,
  from: FromInstruction,
): readonly Trigger[] {
  const span: Span = from.image;
  if (texts.length > MAX_TRIGGERS)
    throw placeError(file, span, `the base image has more than ${MAX_TRIGGERS} ONBUILD triggers`);
  return texts.map((text) => {
    const title = `ONBUILD ${text.split('\n', 1)[0] ?? ''}`;
    try {
      const instruction = parseTrigger({ path: file.path, text });
      return {
        title,
        text: instructionText(instruction),
        instruction: spannedAt(span, instruction),
      };
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      const why = error.message.replace(/^.*?:\d+:\d+: /, '');
      throw placeError(file, span, `${title}, a trigger of the base image: ${why}`, error.fix);
    }
  });
}

/**
 * Parses the text of a trigger, in which the places of the result are.
 * @throws LktError DOCKERFILE_INVALID
 */
export function parseTrigger(file: SourceFile): Instruction {
  const source = new SourceText(file);
  const [node, second] = parseSyntax(source).nodes;
  if (node === undefined || second !== undefined)
    throw source.error(source.span(0, 0), 'it is not one instruction');
  const instruction = parseInstruction(node, source);
  if (['FROM', 'ONBUILD', 'MAINTAINER'].includes(instruction.keyword))
    throw source.error(node.keyword, `${instruction.keyword} cannot be a trigger`);
  return instruction;
}

/** Says of an error while a trigger was evaluated or done which trigger it was. */
export function triggerError(error: unknown, title: string): unknown {
  if (!(error instanceof LktError) || error.message.includes(title)) return error;
  return new LktError(error.code, `${error.message} (in ${title}, a trigger of the base image)`, {
    cause: error,
    fix: error.fix,
    detail: error.detail,
  });
}

/** The same, with all that has a place at one. */
function spannedAt<T>(span: Span, value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => spannedAt(span, item)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, spannedAt(span, item as unknown)]),
  );
  const { position, offset, length } = span;
  return ('offset' in copy ? { ...copy, position, offset, length } : copy) as T;
}
