import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fleetSchema } from '@lkt/fleet';
import { imageConfigSchema, lockSchema } from '@lkt/image';
import { buildYmlSchema, workspaceSchema } from '@lkt/pkg';
import { attackDocument } from './attack-doc.ts';
import { packageDocuments } from './packages-doc/main.ts';
import { securityDocument } from './security-doc.ts';
import { loadAllCommands } from '../packages/cli/src/commands.ts';
import {
  type ArgEntry,
  type CommandEntry,
  commandTable,
  type FlagEntry,
} from '../packages/cli/src/help/table.ts';

const root = join(import.meta.dirname, '..');

/** Returns the documents generated from code, by path. `node tools/docs.ts` writes them. */
export async function generatedDocs(): Promise<ReadonlyMap<string, string>> {
  const errors = readFileSync(join(root, 'packages/core/src/errors.ts'), 'utf8');
  return new Map([
    ['docs/attack.md', attackDocument(root)],
    ['docs/cli.md', cliDocument(commandTable(await loadAllCommands()))],
    ['docs/errors.md', errorsDocument(errorCodes(errors))],
    ['docs/security.md', securityDocument(root)],
    ...packageDocuments(root),
    ['docs/schema/build.json', json(buildYmlSchema())],
    ['docs/schema/fleet.json', json(fleetSchema())],
    ['docs/schema/image.json', json(imageConfigSchema())],
    ['docs/schema/lock.json', json(lockSchema())],
    ['docs/schema/workspace.json', json(workspaceSchema())],
  ]);
}

function json(schema: object): string {
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** Flags with the same text in this many commands are listed once. */
const MIN_COMMON = 2;

/** Common flags that commands accept together, by the name of the group. */
const GROUPS: ReadonlyMap<string, readonly string[]> = new Map([
  ['registry options', ['cert-file', 'insecure-registry', 'mirror']],
  ['trust options', ['trust', 'trusted-root', 'offline']],
  ['signing options', ['fulcio-url', 'key', 'rekor-url', 'signing-config', 'tsa-url']],
  ['machine options', ['mem', 'cpus', 'accel', 'qemu']],
]);

function cliDocument(table: readonly CommandEntry[]): string {
  const global = table[0]?.flags.filter((flag) => flag.global) ?? [];
  const common = commonFlags(table);
  return `# Commands

<!-- Made by tools/docs.ts from packages/cli/src/commands; do not edit. -->

\`lkt COMMAND --help\` prints the same texts.

${commandIndex(table)}

Results go to standard output, progress and errors to standard error. \`…\` marks what may be repeated. Flags that commands name under "also" are [common options](#common-options). Every command accepts:

${global.map(flagItem).join('\n')}

Exit codes:

- 0: success
- 1: failure; [errors.md](errors.md) lists the reasons
- 2: invalid command line
- 130: interrupted by Ctrl-C

${table.map((command) => commandSection(command, common)).join('\n')}
## Common options

${optionGroups(common)}
`;
}

function topicOf({ name }: CommandEntry): string {
  return name.includes(' ') ? name.slice(0, name.indexOf(' ')) : '';
}

/** Returns links to all commands: an item for each topic, and one for those of a single word. */
function commandIndex(table: readonly CommandEntry[]): string {
  const groups = [...Map.groupBy(table, topicOf)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return groups
    .map(([topic, commands]) => {
      const links = commands.map(({ name }) => {
        const text = topic === '' ? name : name.slice(topic.length + 1);
        return `[${text}](#lkt-${name.replaceAll(' ', '-')})`;
      });
      return `- ${topic === '' ? '' : `**${topic}** `}${links.join(', ')}`;
    })
    .join('\n');
}

/** Returns the lists of common flags: those of each group, and the others. */
function optionGroups(common: ReadonlyMap<string, string>): string {
  const grouped = new Set([...GROUPS.values()].flat());
  const others = [...common.keys()].filter((name) => !grouped.has(name));
  return [...GROUPS, ['other options', others] as const]
    .map(([group, names]) => {
      const items = names.map((name) => common.get(name) ?? raise(`no common flag --${name}`));
      return `${group.charAt(0).toUpperCase()}${group.slice(1)}:\n\n${items.join('\n')}`;
    })
    .join('\n\n');
}

function raise(message: string): never {
  throw new Error(message);
}

/** Returns the names of common flags, with groups for those that are complete. */
function also(names: readonly string[]): string {
  const groups = [...GROUPS].filter(([, members]) => members.every((name) => names.includes(name)));
  const grouped = new Set(groups.flatMap(([, members]) => members));
  const others = names.filter((name) => !grouped.has(name)).map((name) => `\`--${name}\``);
  return [...groups.map(([group]) => group), ...others].join(', ');
}

/** Returns the list items of flags that several commands share, by flag name, one per name. */
function commonFlags(table: readonly CommandEntry[]): ReadonlyMap<string, string> {
  const flags = table.flatMap((command) => command.flags.filter((flag) => !flag.global));
  const uses = [...Map.groupBy(flags, flagItem)].filter(([, { length }]) => length >= MIN_COMMON);
  return new Map(
    uses
      .toSorted(([, one], [, other]) => one.length - other.length)
      .map(([item, [flag]]): [string, string] => [flag?.name ?? '', item])
      .toSorted(([one], [other]) => (one < other ? -1 : 1)),
  );
}

function commandSection(command: CommandEntry, common: ReadonlyMap<string, string>): string {
  const own = command.flags.filter((flag) => !flag.global);
  const isCommon = (flag: FlagEntry): boolean => common.get(flag.name) === flagItem(flag);
  const flags = own.filter((flag) => !isCommon(flag));
  const items = [...command.args.map(argItem), ...flags.map(flagItem)];
  const shared = own.filter(isCommon).map(({ name }) => name);
  if (shared.length > 0) items.push(`- also ${also(shared)}`);
  // An example of the arguments alone adds nothing to their list.
  const examples = command.examples.filter((line) => / (-|'|\||>)|\|/.test(line));
  const parts = [
    `## lkt ${command.name}`,
    `${command.summary}.`,
    ...(command.description === undefined ? [] : [command.description]),
    ...(items.length === 0 ? [] : [items.join('\n')]),
    ...(examples.length === 0 ? [] : [`\`\`\`sh\n${examples.join('\n')}\n\`\`\``]),
  ];
  return `${parts.join('\n\n')}\n`;
}

function argItem({ name, description, required, multiple, values }: ArgEntry): string {
  const word = multiple ? `${name}…` : name;
  const among = values.length > 0 ? ` (${values.join(', ')})` : '';
  return `- \`${required ? word : `[${word}]`}\`: ${description}${among}`;
}

function flagItem(flag: FlagEntry): string {
  const { name, char, value, values, summary, description, default: fallback } = flag;
  const shown = values.length > 0 ? values.join('|') : value;
  const long = shown === undefined ? `--${name}` : `--${name} ${shown}`;
  const short = char === undefined ? '' : `\`-${char}\`, `;
  const otherwise = fallback === undefined ? '' : ` (default: ${fallback})`;
  const isShown = description === undefined || description === values.join(', ');
  const more = isShown ? '' : `. ${description.replace(/\.$/, '')}`;
  return `- ${short}\`${long}\`: ${summary}${otherwise}${more}`;
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

if (import.meta.main) {
  for (const [path, text] of await generatedDocs()) writeFileSync(join(root, path), text);
}
