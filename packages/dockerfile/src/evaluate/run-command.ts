import type { RunInstruction } from '../parse/ast.ts';
import { bodyOf, isFileName, parseHeredoc } from '../parse/heredoc.ts';
import type { SourceText } from '../parse/source-text.ts';
import type { RunStep } from './steps.ts';

/** The directory of the script file for the body of `RUN <<EOF` if it starts with `#!`. */
const SCRIPT_DIRECTORY = '/dev/pipes';

/**
 * Returns the argv of a RUN. If the command is only a here-document, its body is run: as a script
 * file if it starts with `#!`, else by the shell. Otherwise the shell receives the here-documents
 * as text.
 * @throws DOCKERFILE_INVALID if a script's name is not a file name
 */
export function evaluateCommand(
  instruction: RunInstruction,
  shell: readonly string[],
  source: SourceText,
): Pick<RunStep, 'argv' | 'files'> {
  const { command, heredocs } = instruction;
  const [first] = heredocs;
  if (command.form === 'exec' || first === undefined) {
    const argv = command.form === 'exec' ? command.argv : [...shell, command.script];
    return { argv, files: [] };
  }
  if (typeof parseHeredoc(command.script) !== 'object') {
    const bodies = heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
    return { argv: [...shell, command.script + bodies], files: [] };
  }
  const content = bodyOf(first);
  if (!content.startsWith('#!')) return { argv: [...shell, content], files: [] };
  if (!isFileName(first.name))
    throw source.error(first, `"${first.name}" is not a valid file name`, 'use a simple name');
  const path = `${SCRIPT_DIRECTORY}/${first.name}`;
  return { argv: [...shell, path], files: [{ path, content, mode: 0o755 }] };
}
