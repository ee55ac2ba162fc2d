import { posix } from 'node:path';
import { isSha256 } from '@lkt/core';
import { isCommit, remoteKind } from '../copy/git-source.ts';
import { fromRoot, resolvePath } from '../copy/source-tree.ts';
import type { CopyInstruction, Heredoc, Span, Word } from '../parse/ast.ts';
import { bodyOf, isFileName } from '../parse/heredoc.ts';
import type { WordReader } from './scope.ts';
import type { SourceText } from '../parse/source-text.ts';
import type { BaseOrigin } from './stages.ts';
import type { CopySource, CopyStep, Origin } from './steps.ts';

/** The state of a stage that COPY, ADD and mounts depend on. */
export interface CopyContext {
  readonly source: SourceText;
  readonly reader: WordReader;
  readonly variables: ReadonlyMap<string, string>;
  readonly workdir: string;
  readonly origin: (word: Word) => BaseOrigin;
}

const SYMBOLIC_MODE =
  /^[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*$/;

/**
 * Expands a COPY or ADD.
 * @throws DOCKERFILE_INVALID for empty sources, sources outside of the context, and invalid values
 */
export function evaluateCopy(instruction: CopyInstruction, context: CopyContext): CopyStep {
  const { reader, variables, source } = context;
  const from: Origin =
    instruction.from === undefined ? { kind: 'context' } : context.origin(instruction.from);
  const sources = instruction.sources.map((word) =>
    copySource(word, reader.word(word, variables), instruction, from, source),
  );
  const files = instruction.heredocs.map((heredoc) => inlineFile(heredoc, context));
  const destination = reader.word(instruction.destination, variables);
  const destinationIsDirectory = /(?:^|\/)\.?$/.test(destination);
  if (sources.length + files.length > 1 && !destinationIsDirectory)
    throw source.error(
      instruction.destination,
      `${instruction.keyword} with more than one source needs a directory as its destination`,
      `end it with a slash: ${destination}/`,
    );
  const flagOf = (name: string): Span =>
    instruction.flags.find((flag) => flag.name === name) ?? instruction;
  const flagText = (name: string, text: string | undefined): string | undefined =>
    text === undefined ? undefined : reader.text(flagOf(name), text, variables);
  const checksum = flagText('checksum', instruction.checksum);
  const isGit = sources.some(({ kind }) => kind === 'git');
  if (checksum !== undefined && !(isGit ? isCommit(checksum) : isSha256(checksum)))
    throw source.error(
      flagOf('checksum'),
      `"${checksum}" is not a ${isGit ? 'commit' : 'sha256 checksum'}`,
      isGit
        ? 'write all of its 40 (or 64) lower-case hexadecimal digits'
        : 'write it as sha256: and 64 lower-case hex digits',
    );
  return {
    kind: instruction.keyword === 'ADD' ? 'add' : 'copy',
    instruction,
    position: instruction.position,
    title: instruction.text,
    from,
    sources,
    files,
    destination: resolvePath(context.workdir, destination),
    destinationIsDirectory,
    chown: flagText('chown', instruction.chown),
    chmod: fileMode(flagText('chmod', instruction.chmod), flagOf('chmod'), source),
    link: instruction.link,
    parents: instruction.parents,
    exclude: instruction.exclude.map((text) => flagText('exclude', text) ?? ''),
    checksum,
    keepGitDir: instruction.keepGitDir,
    unpack: instruction.unpack,
  };
}

function copySource(
  word: Word,
  text: string,
  instruction: CopyInstruction,
  from: Origin,
  source: SourceText,
): CopySource {
  const { position, offset, length } = word;
  const span = { position, offset, length };
  if (text === '')
    throw source.error(
      word,
      `a source of ${instruction.keyword} is empty after expanding ${word.text}`,
      'set the variable, or write . to copy everything',
    );
  const kind = instruction.keyword === 'ADD' ? remoteKind(text) : undefined;
  if (kind !== undefined) return { ...span, kind, text, base: '' };
  if (instruction.keyword === 'COPY' && /^[a-z]+:\/\//i.test(text))
    throw source.error(
      word,
      'COPY does not accept URLs',
      remoteKind(text) === 'git' ? 'use ADD, and name the commit' : 'use ADD --checksum=sha256:…',
    );
  const pivot = instruction.parents ? text.indexOf('/./') : -1;
  const base = pivot === -1 ? '' : text.slice(0, pivot);
  if (from.kind === 'context' && climbsOut(text))
    throw source.error(
      word,
      `${text} is outside of the build context`,
      'move the file into the package directory; COPY reads only files below it',
    );
  return { ...span, kind: 'path', text: fromRoot(text), base: fromRoot(base) };
}

/** Reports whether a `..` in the path leads above its root. */
function climbsOut(path: string): boolean {
  return /^\.\.(?:\/|$)/.test(posix.join('.', path));
}

function inlineFile(heredoc: Heredoc, context: CopyContext): { name: string; content: string } {
  const { name } = heredoc;
  if (!isFileName(name))
    throw context.source.error(
      heredoc,
      `"${name}" is not a valid file name`,
      'use a simple name, and write the directory in the destination',
    );
  const body = bodyOf(heredoc);
  const content = heredoc.expand ? context.reader.body(heredoc, body, context.variables) : body;
  return { name, content };
}

function fileMode(
  text: string | undefined,
  flag: Span,
  source: SourceText,
): number | string | undefined {
  if (text === undefined) return undefined;
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  if (SYMBOLIC_MODE.test(text)) return text;
  throw source.error(
    flag,
    `"${text}" is not a file mode`,
    'write it as an octal number such as 755, or as u=rwX,go=rX',
  );
}
