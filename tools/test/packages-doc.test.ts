import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fileLines } from '../packages-doc/contents.ts';
import { goFlags } from '../packages-doc/go-flags.ts';
import { guideOf } from '../packages-doc/guide.ts';
import { packageDocuments } from '../packages-doc/main.ts';
import { securityDocument } from '../security-doc.ts';

const root = join(import.meta.dirname, '../..');
const SOURCE = `
const dir = "/etc/x"
const (
	limit = 3 * time.Minute
)

func main() {
	for _, name := range []string{"k", "key-file"} {
		flag.StringVar(&r.key, name, "key", "key \`file\`, relative to "+dir)
	}
	flags.DurationVar(&o.wait, "wait", limit, "\`time\` (of a lease)")
	flags.BoolVar(&o.once, "1", false,
		"exit \\"once\\"")
	flags.Func("inport", "as \`PORT:unix:/PATH\`", func(text string) error { return nil })
	flags.IntVar(&o.last, "n", -1, "")
	size := flag.Uint("size", uint(limit.Seconds()), "\`size\`")
	flag.StringVar(&dir, "dir", "", "a \`directory\`")
}
`;

test('reads the flags of a Go program', () => {
  expect(goFlags([SOURCE])).toEqual([
    {
      names: ['k', 'key-file'],
      value: 'file',
      default: 'key',
      usage: 'key file, relative to /etc/x',
    },
    { names: ['wait'], value: 'time', default: '3m', usage: 'time (of a lease)' },
    { names: ['1'], value: undefined, default: undefined, usage: 'exit "once"' },
    {
      names: ['inport'],
      value: 'PORT:unix:/PATH',
      default: undefined,
      usage: 'as PORT:unix:/PATH',
    },
    { names: ['size'], value: 'size', default: undefined, usage: 'size' },
    { names: ['dir'], value: 'directory', default: undefined, usage: 'a directory' },
  ]);
});

test.each(['flag.Bool("x", false, text())', 'flag.Bool(name, false, "text")'])(
  'rejects the declaration %s',
  (declaration) => {
    expect(() => goFlags([declaration])).toThrow('unknown declaration of a flag: flag.Bool(');
  },
);

test('rejects a value without a name, which -help would call string or value', () => {
  expect(() => goFlags(['flag.String("x", "", "a text")'])).toThrow(
    '-x: name its value in backquotes: a text',
  );
});

test('lists files with their links, and counts those of full directories', () => {
  const many = Array.from({ length: 9 }, (_, index) => ({ path: `/lib/${index}`, type: 'file' }));
  expect(
    fileLines([
      { path: '/lib', type: 'directory' },
      ...many,
      { path: '/sbin', type: 'directory' },
      { path: '/sbin/b', type: 'symlink', target: '../bin/b' },
      { path: '/run', type: 'directory' },
    ]),
  ).toEqual(['- `/run/`', '- `/lib/`: 9 entries', '- `/sbin/b` → `../bin/b`']);
});

test('counts shared libraries, and leaves out the links of a merged /usr', () => {
  expect(
    fileLines([
      { path: '/bin', type: 'symlink', target: 'usr/bin' },
      { path: '/lib', type: 'symlink', target: 'elsewhere' },
      { path: '/usr/bin/a', type: 'file' },
      { path: '/usr/lib/x86_64-linux-gnu/libc.so.6', type: 'file' },
      { path: '/usr/lib64/ld-linux-x86-64.so.2', type: 'symlink', target: 'x' },
    ]),
  ).toEqual(['- `/lib` → `elsewhere`', '- `/usr/bin/a`', '- shared libraries: 2']);
});

test('keeps the text about options that a page has', () => {
  const page = `# P

## Options

It answers.

### More

\`\`\`sh
# a comment
\`\`\`

Flags, with one dash or two:

- \`-x\`: a flag

## Files
`;
  expect(guideOf('p', page)).toBe('It answers.\n\n### More\n\n```sh\n# a comment\n```');
  expect(guideOf('p', '## Options\n\nIt answers.\n\n## Files\n')).toBe('It answers.');
  expect(guideOf('p', '## Options\n\nIt answers.\n')).toBe('It answers.');
  expect(() => guideOf('p', '## Options\n\nFlags, with one dash or two:\n')).toThrow(
    'docs/packages/p.md explains no options: write "## Options" and a text',
  );
  expect(() => guideOf('new', '')).toThrow('docs/packages/new.md explains no options');
});

/** Returns the part of docs/security.md about a package. */
function sectionOf(name: string): string {
  const parts = securityDocument(root).split('\n### ');
  return parts.find((text) => text.startsWith(`${name}\n`)) ?? '';
}

test('names only the privileges that are not the usual ones', () => {
  expect(sectionOf('losetup')).toBe(
    'losetup\n\nMachine paths `/dev`, `/var`; devices `block 7:* rw`, `character 10:237 rw`.\n',
  );
  expect(sectionOf('docker')).toContain('; masked 20.');
});

test('has options, files and privileges of each package on its page', () => {
  const sections = securityDocument(root);
  for (const [path, text] of packageDocuments(root)) {
    const name = /(\w[\w-]*)\.md$/.exec(path)?.[1] ?? '';
    const buildYml = join(root, 'pkg', name, 'build.yml');
    if (!existsSync(buildYml)) continue;
    for (const part of ['Options', 'Files', 'Sources'])
      expect(text, path).toMatch(new RegExp(`^## ${part}\\n\\n\\S`, 'm'));
    expect(text, path).toMatch(/^## Files\n\n- `\//m);
    const isConfined =
      /^config:$/m.test(readFileSync(buildYml, 'utf8')) ||
      existsSync(join(root, 'pkg', name, 'roles.json'));
    expect(text.includes(`\n## Privileges\n\n[security.md](../security.md#${name}) `), path).toBe(
      isConfined,
    );
    expect(sections.includes(`\n### ${name}\n`), path).toBe(isConfined);
  }
});
