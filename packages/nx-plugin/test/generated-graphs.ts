import { array, type Arbitrary, boolean, constantFrom, nat, record, uniqueArray } from 'fast-check';

/** A graph of packages, and the edits to it. */
export interface Case {
  readonly packages: readonly GeneratedPackage[];
  readonly edits: readonly Edit[];
}

interface GeneratedPackage {
  /** Whether it is inside the previous package's directory. */
  readonly nested: boolean;
  /** Kind of its dependency on each previous package. */
  readonly uses: readonly Use[];
  readonly extraSources: readonly number[];
}

const USES = ['not', 'from', 'tagged', 'copy', 'argument'] as const;
type Use = (typeof USES)[number];

const EDITS = [
  'change',
  'add',
  'remove',
  'mode',
  'link',
  'library',
  'readme',
  'use',
  'nothing',
] as const;

interface Edit {
  readonly kind: (typeof EDITS)[number];
  /** Index of the package, modulo their number. */
  readonly at: number;
}

const MAX_PACKAGES = 6;
const DIGEST = `sha256:${'0'.repeat(64)}`;

export const graphCase: Arbitrary<Case> = record({
  packages: array(
    record({
      nested: boolean(),
      uses: array(constantFrom(...USES, 'not' as const), {
        minLength: MAX_PACKAGES,
        maxLength: MAX_PACKAGES,
      }),
      extraSources: uniqueArray(constantFrom(0, 1), { maxLength: 1 }),
    }),
    { minLength: 1, maxLength: MAX_PACKAGES },
  ),
  edits: array(record({ kind: constantFrom(...EDITS), at: nat({ max: MAX_PACKAGES - 1 }) }), {
    maxLength: 3,
  }),
});

/** Returns the directories of a case's packages. */
export function directories(name: string, { packages }: Case): readonly string[] {
  const dirs: string[] = [];
  for (const [index, { nested }] of packages.entries())
    dirs.push(`${nested && index > 0 ? dirs[index - 1] : name}/p${index}`);
  return dirs;
}

/** Returns the files of a case by path, before or after the edits. */
export function filesOf(name: string, one: Case, isAfter: boolean): ReadonlyMap<string, string> {
  const files = new Map([[`${name}/README.md`, 'About all of it.']]);
  for (const library of [0, 1]) files.set(`${name}/lib${library}/a.c`, 'int a;');
  const dirs = directories(name, one);
  for (const [index, dir] of dirs.entries()) {
    const { uses, extraSources } = one.packages[index] ?? { uses: [], extraSources: [] };
    const hasNew =
      isAfter && one.edits.some(({ kind, at }) => kind === 'use' && at % dirs.length === index);
    const used = uses
      .slice(0, index)
      .map((use, other) => ({ use: hasNew && use === 'not' ? 'from' : use, other }));
    const is = (kind: Use): readonly number[] =>
      used.flatMap(({ use, other }) => (use === kind ? [other] : []));
    const up = '../'.repeat(dir.split('/').length - 1);
    files.set(
      `${dir}/build.yml`,
      [
        `org: ${name}\nimage: p${index}\n`,
        ...(extraSources.length === 0 ? [] : ['extra-sources:\n']),
        ...extraSources.map((library) => `  - ${up}lib${library}:lib${library}\n`),
        ...(is('argument').length === 0 ? [] : ['buildArgs:\n']),
        ...is('argument').map(
          (other) => `  - P${other}=@lkt:pkg:${up}${dirs[other]?.slice(name.length + 1)}\n`,
        ),
      ].join(''),
    );
    files.set(
      `${dir}/Dockerfile`,
      [
        ...is('argument').map((other) => `ARG P${other}\n`),
        ...is('argument').map((other) => `FROM \${P${other}} AS a${other}\n`),
        ...is('from').map((other) => `FROM ${name}/p${other}@${DIGEST} AS f${other}\n`),
        ...is('tagged').map((other) => `FROM ${name}/p${other}:1@${DIGEST} AS t${other}\n`),
        'FROM scratch\nCOPY file /\n',
        ...is('copy').map((other) => `COPY --from=${name}/p${other}@${DIGEST} / /\n`),
        // A stage that no other one needs is not a dependency.
        ...is('argument').map((other) => `COPY --from=a${other} / /\n`),
        ...is('from').map((other) => `COPY --from=f${other} / /\n`),
        ...is('tagged').map((other) => `COPY --from=t${other} / /\n`),
      ].join(''),
    );
    files.set(`${dir}/file`, 'text');
    files.set(`${dir}/spare`, 'text');
    // This prefix marks links.
    files.set(`${dir}/link`, '-> file');
  }
  return files;
}

/** Returns the files of a case after the edits. */
export function edited(
  name: string,
  one: Case,
): { files: ReadonlyMap<string, string>; programs: Set<string> } {
  const files = new Map(filesOf(name, one, true));
  const programs = new Set<string>();
  const dirs = directories(name, one);
  for (const [index, { kind, at }] of one.edits.entries()) {
    const dir = dirs[at % dirs.length] ?? '';
    if (kind === 'change') files.set(`${dir}/file`, `text ${index}`);
    if (kind === 'add') files.set(`${dir}/new`, 'new');
    if (kind === 'remove') files.delete(`${dir}/spare`);
    if (kind === 'mode') programs.add(`${dir}/file`);
    if (kind === 'link') files.set(`${dir}/link`, '-> spare');
    if (kind === 'library') files.set(`${name}/lib${at % 2}/a.c`, 'int b;');
    if (kind === 'readme') files.set(`${name}/README.md`, 'About all the rest.');
  }
  return { files, programs };
}
