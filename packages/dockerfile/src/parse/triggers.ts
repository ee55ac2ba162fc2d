import { LktError, type SourceFile } from '@lkt/core';
import type { FromInstruction, Instruction, Span } from './ast.ts';
import { parseInstruction } from './instructions.ts';
import { errorAt, SourceText } from './source-text.ts';
import { parseSyntax } from './syntax.ts';

/** An instruction that a base image runs right after FROM (Dockerfile reference, "ONBUILD"). */
export interface Trigger {
  /** `ONBUILD` and the instruction on one line, for progress and errors. */
  readonly title: string;
  /** The instruction on one line, and the here-documents it opens. */
  readonly text: string;
  /** Every span in it is that of FROM, because its text is in no file. */
  readonly instruction: Instruction;
}

/** A limit, because triggers are parsed on every use of the image. No real image has so many. */
const MAX_TRIGGERS = 1000;

/** Returns a trigger as images store it: the instruction, then the here-documents it opens. */
export function triggerText({ text, heredocs }: Instruction): string {
  return text + heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
}

/**
 * Parses the triggers of a base image.
 * @param from the FROM that names the base image
 * @throws DOCKERFILE_INVALID at the FROM, with the text of the trigger
 */
export function parseTriggers(
  texts: readonly string[],
  file: SourceFile,
  from: FromInstruction,
): readonly Trigger[] {
  const span: Span = from.image;
  if (texts.length > MAX_TRIGGERS)
    throw errorAt(file, span, `the base image has more than ${MAX_TRIGGERS} ONBUILD triggers`);
  return texts.map((text) => {
    const title = `ONBUILD ${text.split('\n', 1)[0] ?? ''}`;
    try {
      const instruction = parseTrigger({ path: file.path, text });
      return {
        title,
        text: triggerText(instruction),
        instruction: spannedAt(span, instruction),
      };
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      const why = error.message.replace(/^.*?:\d+:\d+: /, '');
      throw errorAt(file, span, `${title}, a trigger of the base image: ${why}`, error.fix);
    }
  });
}

/**
 * Parses the text of a trigger. The spans of the result refer to that text.
 * @throws DOCKERFILE_INVALID if it is not exactly one instruction that a trigger can be
 */
export function parseTrigger(file: SourceFile): Instruction {
  const source = new SourceText(file);
  const [node, second] = parseSyntax(source).nodes;
  if (node === undefined || second !== undefined)
    throw source.error(source.span(0, 0), 'expected exactly one instruction');
  const instruction = parseInstruction(node, source);
  if (['FROM', 'ONBUILD', 'MAINTAINER'].includes(instruction.keyword))
    throw source.error(node.keyword, `${instruction.keyword} cannot be a trigger`);
  return instruction;
}

/**
 * Adds the title of a trigger to an error from evaluating or running it. Returns other errors
 * unchanged.
 */
export function triggerError(error: unknown, title: string): unknown {
  if (!(error instanceof LktError) || error.message.includes(title)) return error;
  return new LktError(error.code, `${error.message} (in ${title}, a trigger of the base image)`, {
    cause: error,
    fix: error.fix,
    detail: error.detail,
  });
}

/** Returns a deep copy in which every span is replaced by `span`. */
function spannedAt<T>(span: Span, value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => spannedAt(span, item)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, spannedAt(span, item as unknown)]),
  );
  const { position, offset, length } = span;
  return ('offset' in copy ? { ...copy, position, offset, length } : copy) as T;
}
