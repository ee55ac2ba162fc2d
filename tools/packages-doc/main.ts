import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PackageSpec, parseBuildYml } from '@lkt/pkg';
import { goFlags } from './go-flags.ts';
import { guideOf } from './guide.ts';

/** A package in the list of pkg/README.md. */
interface Entry {
  readonly name: string;
  /** Origin of the programs, such as `Go, Debian's sources`; undefined for lkt's own Go. */
  readonly origin: string | undefined;
  readonly summary: string;
}

/**
 * Renders docs/packages: a page for each package below `pkg/` that images can use, and an index.
 * From the list in pkg/README.md, build.yml, roles.json, debian.lock, Dockerfiles, Go flags and the
 * examples. The text below "Options" is written by hand, and stays.
 * @param filesOf returns the lines of a package's list of files; default: those of its page
 * @returns the documents by path
 */
export function packageDocuments(
  root: string,
  filesOf: (name: string) => readonly string[] = (name) => listedFiles(root, name),
): ReadonlyMap<string, string> {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  const pageOf = (name: string): string => {
    const path = `docs/packages/${name}.md`;
    return existsSync(join(root, path)) ? read(path) : '';
  };
  const entries = entriesOf(read('pkg/README.md'));
  const examples = globSync('examples/*.yml', { cwd: root })
    .toSorted()
    .map((path) => ({ path, text: read(path) }));
  const pages = entries.map((entry) => {
    const path = `pkg/${entry.name}/build.yml`;
    const spec = parseBuildYml({ path, text: read(path) }, join(root, 'pkg', entry.name));
    const parts = [
      head(entry),
      usage(entry.name, examples),
      options(root, entry.name, guideOf(entry.name, pageOf(entry.name))),
      privileges(root, spec),
      files(filesOf(entry.name)),
      inputs(root, spec),
    ];
    const text = parts.filter((part) => part !== '').join('\n\n');
    return [`docs/packages/${entry.name}.md`, `${text}\n`] as const;
  });
  return new Map([['docs/packages/README.md', indexOf(entries)], ...pages]);
}

const MADE = '<!-- Made by tools/packages-doc; do not edit. -->';
const MADE_BUT_OPTIONS = '<!-- Made by tools/packages-doc except Options -->';

function indexOf(entries: readonly Entry[]): string {
  const items = entries.map(({ name, summary }) => `- [\`${name}\`](${name}.md): ${summary}`);
  return `# Packages

${MADE}

The packages that an image config can name; it can [change their privileges](../image-yml.md#containers).
\`lkt inspect --files\` also shows owners, modes and sizes of their files, \`lkt pkg sbom\` versions and licences.

${items.join('\n')}

The kernels \`lkt/linux\` and \`lkt/kernel-debian\` have [their own page](../kernel.md), and the
toolchains \`lkt/go-static\`, \`lkt/c\` and others are in [tools/README.md](../../tools/README.md).
[pkg/README.md](../../pkg/README.md) also lists the packages that these are built from.
`;
}

/** Packages that only others are built from. The list has the remaining ones several to a line. */
const BASES: ReadonlySet<string> = new Set(['containerd-programs', 'login']);

/** Returns the packages that images can use. */
function entriesOf(readme: string): readonly Entry[] {
  const list = readme.slice(0, readme.indexOf('\n## '));
  const items = list.matchAll(/^- `([\w-]+)`(?: \((.*?)\))?: ([^]*?)(?=\n- |\n\n)/gm);
  return [...items]
    .map(([, name = '', origin, summary = '']) => ({
      name,
      origin: origin?.replaceAll('\n  ', ' '),
      summary: summary.replaceAll('\n  ', ' '),
    }))
    .filter(({ name }) => !BASES.has(name));
}

function head({ name, origin, summary }: Entry): string {
  const source =
    origin === undefined
      ? "lkt's own program, in Go."
      : `Origin: ${origin.replace(/^also (.*)/, "lkt's own program in Go, with $1")}.`;
  return `# lkt/${name}

${MADE_BUT_OPTIONS}

${summary.charAt(0).toUpperCase()}${summary.slice(1)}. ${source}`;
}

/** Returns the text about the options of a package, and the flags of its programs. */
function options(root: string, name: string, guide: string): string {
  const sources = globSync(`pkg/${name}/**/*.go`, { cwd: root })
    .filter((path) => !path.endsWith('_test.go'))
    .toSorted()
    .map((path) => readFileSync(join(root, path), 'utf8'));
  const flags = goFlags(sources).map(({ names, value, default: usual, usage: text }) => {
    const shown = names
      .map((one) => `\`-${one}${value === undefined ? '' : ` ${value}`}\``)
      .join(', ');
    const otherwise = usual === undefined ? '' : ` (default: \`${usual}\`)`;
    return `- ${shown}: ${text}${otherwise}`;
  });
  const list = flags.length === 0 ? '' : `\n\nFlags, with one dash or two:\n\n${flags.join('\n')}`;
  return `## Options\n\n${guide}${list}`;
}

/** Returns the item of an example that uses the package, if possible the one named after it. */
function usage(
  name: string,
  examples: readonly { readonly path: string; readonly text: string }[],
): string {
  const image = new RegExp(`^ +(?:- )?image: lkt/${name}:`, 'm');
  const own = examples.filter(({ path }) => path === `examples/${name}.yml`);
  const found = [...own, ...examples].find(({ text }) => image.test(text));
  if (found !== undefined) {
    const lines = found.text.split('\n');
    const at = lines.findIndex((line) => image.test(line));
    const start = lines.findLastIndex((line, index) => index <= at && line.startsWith('  - '));
    const after = lines.findIndex((line, index) => index > at && !line.startsWith('    '));
    const section = lines.findLast((line, index) => index < at && /^\w+:/.test(line)) ?? '';
    const item = lines.slice(start, after < 0 ? undefined : after).join('\n');
    return usageOf(found.path, `${section}\n${withoutPins(item)}`);
  }
  const init = new RegExp(`^  - lkt/${name}:`, 'm');
  const part = examples.find(({ text }) => init.test(text));
  return part === undefined ? '' : usageOf(part.path, `init:\n  - lkt/${name}`);
}

function usageOf(path: string, yaml: string): string {
  return `## In an image config

From [${path}](../../${path}), without pins:

\`\`\`yaml
${yaml.trimEnd()}
\`\`\``;
}

function withoutPins(text: string): string {
  return text.replaceAll(/(image: lkt\/[\w-]+):\S+/g, '$1');
}

/** Returns the link to a package's privileges and processes; empty if it runs nothing. */
function privileges(root: string, { image, config, file }: PackageSpec): string {
  const hasRoles = existsSync(join(root, 'pkg', image, 'roles.json'));
  if (config === undefined && !hasRoles) return '';
  const link = `[security.md](../security.md#${image})`;
  const reasons = config === undefined ? '' : `; [build.yml](../../${file.path}) has the reasons`;
  return `## Privileges\n\n${link} lists them${reasons}.`;
}

/** Returns the list of files of a package's page, which only the built image tells. */
function listedFiles(root: string, name: string): readonly string[] {
  const path = join(root, 'docs/packages', `${name}.md`);
  if (!existsSync(path)) return [];
  const [, list = ''] = /^## Files\n\n((?:- .*\n)*)/m.exec(readFileSync(path, 'utf8')) ?? [];
  return list.split('\n').filter((line) => line !== '');
}

function files(lines: readonly string[]): string {
  return `## Files\n\n${lines.join('\n')}`;
}

function inputs(root: string, { image, dockerfile, debian }: PackageSpec): string {
  const dir = `pkg/${image}`;
  const file = join(root, dir, dockerfile);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const names = text.matchAll(/(?:^FROM |--from=)(lkt\/[\w-]+)/gm);
  const bases = [...new Set([...names].map(([, name = '']) => `\`${name}\``))].toSorted();
  const lines = [
    ...(bases.length === 0 ? [] : [`- Built from: ${bases.join(', ')}`]),
    ...(debian === undefined ? [] : [`- Debian packages: [debian.lock](../../${dir}/debian.lock)`]),
  ];
  if (lines.length === 0) lines.push(`- [${dir}](../../${dir})`);
  return `## Sources\n\n${lines.join('\n')}`;
}
