import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageConfigSchema } from '@lkt/image';
import { buildYmlSchema } from '@lkt/pkg';
import { attackDocument } from './attack-doc.ts';
import { securityDocument } from './security-doc.ts';
import { loadAllCommands } from '../packages/cli/src/commands.ts';
import { type CommandEntry, commandTable, type FlagEntry } from '../packages/cli/src/help/table.ts';

const root = join(import.meta.dirname, '..');

/** Returns the documents generated from code, by path. `node tools/docs.ts` writes them. */
export async function generatedDocs(): Promise<ReadonlyMap<string, string>> {
  const errors = readFileSync(join(root, 'packages/core/src/errors.ts'), 'utf8');
  return new Map([
    ['docs/attack.md', attackDocument(root)],
    ['docs/cli.md', cliDocument(commandTable(await loadAllCommands()))],
    ['docs/errors.md', errorsDocument(errorCodes(errors))],
    ['docs/security.md', securityDocument(root)],
    ['docs/schema/build.json', json(buildYmlSchema())],
    ['docs/schema/image.json', json(imageConfigSchema())],
  ]);
}

function json(schema: object): string {
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function cliDocument(table: readonly CommandEntry[]): string {
  const global = table[0]?.flags.filter((flag) => flag.global) ?? [];
  return `# Commands

<!-- Made by tools/docs.ts from packages/cli/src/commands; do not edit. -->

${table.map(({ name, summary }) => `- [\`lkt ${name}\`](#lkt-${name.replaceAll(' ', '-')}): ${lower(summary)}`).join('\n')}

Results go to standard output, progress and errors to standard error. Every command accepts:

${flagList(global)}

| exit code | meaning                                           |
| --------- | ------------------------------------------------- |
| 0         | success                                           |
| 1         | failure; [errors.md](errors.md) lists the reasons |
| 2         | invalid command line                              |
| 130       | interrupted by Ctrl-C                             |

${table.map(commandSection).join('\n')}`;
}

function commandSection(command: CommandEntry): string {
  const args = command.args.map(({ name, required, multiple }) => {
    const word = multiple ? `${name}…` : name;
    return required ? word : `[${word}]`;
  });
  const own = command.flags.filter((flag) => !flag.global);
  const parts = [
    `## lkt ${command.name}`,
    `\`\`\`\n${['lkt', command.name, ...args, ...(own.length > 0 ? ['[OPTIONS]'] : [])].join(' ')}\n\`\`\``,
    `${command.summary}.`,
    ...(command.description === undefined ? [] : [command.description]),
    ...command.args.map(
      ({ name, description, values }) =>
        `\`${name}\`: ${description}${values.length > 0 ? ` (${values.join(', ')})` : ''}.`,
    ),
    ...(own.length === 0 ? [] : [flagList(own)]),
    ...(command.examples.length === 0 ? [] : [`\`\`\`sh\n${command.examples.join('\n')}\n\`\`\``]),
  ];
  return `${parts.join('\n\n')}\n`;
}

function flagList(flags: readonly FlagEntry[]): string {
  return flags
    .map(({ name, char, value, values, summary, description, default: fallback }) => {
      const shown = values.length > 0 ? values.join('|') : value;
      const long = shown === undefined ? `--${name}` : `--${name} ${shown}`;
      const short = char === undefined ? '' : `\`-${char}\`, `;
      const otherwise = fallback === undefined ? '' : ` (default: ${fallback})`;
      const more = description === undefined ? '' : `. ${description.replace(/\.$/, '')}`;
      return `- ${short}\`${long}\`: ${summary}${otherwise}${more}`;
    })
    .join('\n');
}

function errorsDocument(codes: readonly (readonly [string, string])[]): string {
  return `# Errors

<!-- Made by tools/docs.ts from packages/core/src/errors.ts; do not edit. -->

An error names the file or reference and the problem. The lines below it give the reason (\`cause\`) and the next command or edit (\`fix\`). With \`--json\`, it is printed to standard output:

\`\`\`json
{ "error": { "code": "NOT_FOUND", "message": "…", "causes": ["…"], "fix": "…" } }
\`\`\`

The codes are stable; the messages may change. \`BUG\` is an error that lkt does not expect; please report it.

${codes.map(([code, meaning]) => `- \`${code}\`: ${meaning}`).join('\n')}
`;
}

/** Returns the members of the union `LktErrorCode`, each with its comment. */
function errorCodes(source: string): readonly (readonly [string, string])[] {
  const union = /export type LktErrorCode =\n([^;]*;[^\n]*)/.exec(source)?.[1] ?? '';
  const codes = union.split('\n').map((line) => {
    const [, code, meaning] = /^ {2}\| '(\w+)';? \/\/ (.+)$/.exec(line) ?? [];
    if (code === undefined || meaning === undefined)
      throw new Error(`an error code has no comment with its meaning: ${line.trim()}`);
    return [code, meaning] as const;
  });
  return codes;
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

if (import.meta.main) {
  for (const [path, text] of await generatedDocs()) writeFileSync(join(root, path), text);
}
