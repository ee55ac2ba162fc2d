import type { RunInstruction } from '../parse/ast.ts';
import { chompTabs, parseHeredoc } from '../parse/heredoc.ts';
import type { SourceText } from '../parse/source-text.ts';
import type { RunStep } from './steps.ts';

/** Where the body of `RUN <<EOF` stands for the time of the command when it starts with `#!`. */
const SCRIPT_DIRECTORY = '/dev/pipes';

/**
 * A RUN that is nothing but a here-document runs its body: as a file when it starts with `#!`, else as the shell's
 * script. Any other RUN hands its here-documents to the shell.
 */
export function runCommand(
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
  const content = first.chomp ? chompTabs(first.content) : first.content;
  if (!content.startsWith('#!')) return { argv: [...shell, content], files: [] };
  if (!/^[^/]+$/.test(first.name) || first.name === '.' || first.name === '..') {
    throw source.error(first, `"${first.name}" cannot be the name of a file`, 'use a simple name');
  }
  const path = `${SCRIPT_DIRECTORY}/${first.name}`;
  return { argv: [...shell, path], files: [{ path, content, mode: 0o755 }] };
}
