import type { SourceFile } from '@lkt/core';
import type {
  ArgInstruction,
  Dockerfile,
  FromInstruction,
  Instruction,
  Stage,
  Warning,
} from './ast.ts';
import { parseInstruction } from './instructions.ts';
import { SourceText } from './source-text.ts';
import { type FileSyntax, parseSyntax } from './syntax.ts';

/** A limit, because stages are resolved by recursion. No real Dockerfile has so many. */
const MAX_STAGES = 1000;

/**
 * Parses a Dockerfile. Does not expand variables, and reads no other file.
 * @throws DOCKERFILE_INVALID with file, line and column, the line itself and a fix
 * @example
 * ```ts
 * const { stages } = parseDockerfile({ path: 'Dockerfile', text: 'FROM scratch\nCOPY a /\n' });
 * ```
 */
export function parseDockerfile(file: SourceFile): Dockerfile {
  const source = new SourceText(file);
  rejectNul(source);
  const syntax = parseSyntax(source);
  const globalArgs: ArgInstruction[] = [];
  const stages: { index: number; from: FromInstruction; instructions: Instruction[] }[] = [];
  for (const node of syntax.nodes) {
    const instruction = parseInstruction(node, source);
    const stage = stages.at(-1);
    if (instruction.keyword === 'FROM') {
      if (stages.length === MAX_STAGES)
        throw source.error(node.keyword, `the Dockerfile has more than ${MAX_STAGES} stages`);
      stages.push({ index: stages.length, from: instruction, instructions: [] });
    } else if (stage !== undefined) {
      stage.instructions.push(instruction);
    } else if (instruction.keyword === 'ARG') {
      globalArgs.push(instruction);
    } else {
      throw source.error(
        node.keyword,
        `${instruction.keyword} comes before the first FROM`,
        'start with FROM; only ARG may come before it',
      );
    }
  }
  if (stages.length === 0)
    throw source.error(
      source.span(0, 0),
      'the Dockerfile has no FROM',
      'add FROM scratch, or FROM an image',
    );
  return {
    file,
    directives: syntax.directives,
    globalArgs,
    stages: stages satisfies readonly Stage[],
    warnings: warningsOf(syntax, source),
  };
}

/** Rejects NUL bytes: no argument, variable or path of a process can contain one. */
function rejectNul(source: SourceText): void {
  const nul = source.file.text.indexOf('\0');
  if (nul === -1) return;
  throw source.error(source.span(nul, nul + 1), 'the Dockerfile contains a NUL byte', 'remove it');
}

function warningsOf(syntax: FileSyntax, source: SourceText): readonly Warning[] {
  const broken = syntax.nodes
    .flatMap((node) => [node, ...(node.child === undefined ? [] : [node.child])])
    .filter((node) => node.brokenJson)
    .map((node) => ({
      position: node.rest.position,
      text: `the array after ${node.name} is not valid JSON and is treated as text${
        node.rest.text.includes("'") ? '; quote its elements with "' : ''
      }`,
    }));
  const blank = syntax.blankContinuations.map((offset) => ({
    position: source.position(offset),
    text: 'a continued instruction contains a blank line',
    rule: 'NoEmptyContinuation',
  }));
  return [...broken, ...blank];
}
