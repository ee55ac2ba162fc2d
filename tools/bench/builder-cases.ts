import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GO, SERVICE } from './builder-packages.ts';
import type { Base } from './builder-peers.ts';

/** A Dockerfile in its own workspace. */
export interface Case {
  readonly name: string;
  /** Number of RUN steps. Each does almost nothing, except in cases that measure something else. */
  readonly commands: number;
  /** The package directory, in a git work tree. */
  readonly directory: string;
  /** The same Dockerfile outside, for builders that name the base image `base`. */
  readonly dockerfile: string;
  readonly base: Base;
  /** Edits a file, differently each time. */
  readonly edit: () => void;
}

/** The content of a package. */
export interface Text {
  readonly name: string;
  /** Its base image: a package to build first, or the name of one in the store. */
  readonly on?: Text | string;
  readonly commands: number;
  /** Returns the Dockerfile for a base image. */
  readonly text: (base: string) => string;
  readonly files: ReadonlyMap<string, string | Buffer>;
  /** Copies further files from elsewhere. */
  readonly copied?: (directory: string) => void;
  /** The file to edit, and the text in it to change. */
  readonly edited: readonly [file: string, text: string];
}

/** A typical package: compiles in the first stage, copies the program into the second. */
const SAMPLE: Text = {
  name: 'sample',
  commands: 2,
  text: (base) => `FROM ${base} AS build
WORKDIR /src
COPY . .
RUN make CC=gcc
RUN mkdir -p /out/bin && cp hello /out/bin/hello && ln -s hello /out/bin/hi
FROM scratch
COPY --from=build /out/ /
CMD ["/bin/hello"]
`,
  files: new Map([
    ['Makefile', 'hello: hello.c\n\t$(CC) -O2 -static -o $@ $<\n'],
    ['hello.c', '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'],
  ]),
  edited: ['hello.c', '"hello'],
};

const STEPS: Text = {
  name: 'steps',
  commands: 36,
  text: (base) =>
    [
      `FROM ${base} AS build`,
      'RUN mkdir /out',
      ...Array.from({ length: 35 }, (_, step) => `RUN echo ${step} > /out/${step}`),
      'FROM scratch',
      'COPY --from=build /out/ /',
      '',
    ].join('\n'),
  files: new Map(),
  edited: ['Dockerfile', 'echo 34'],
};

const CONTEXT: Text = {
  name: 'context',
  commands: 1,
  text: (base) => `FROM ${base} AS build
COPY . /src
RUN find /src -type f | wc -l > /count
FROM scratch
COPY --from=build /count /
`,
  files: new Map(
    Array.from({ length: 5000 }, (_, file) => [
      `d${file % 50}/f${file}.txt`,
      `${file}\n`.repeat(1 + (file % 4000)),
    ]),
  ),
  edited: ['d1/f1.txt', '1'],
};

/** The base image with a second layer that repeats its programs and libraries: over 350 MB. */
const LARGE: Text = {
  name: 'large',
  commands: 1,
  text: (base) => `FROM ${base}\nRUN cp -a /usr /again\n`,
  files: new Map(),
  edited: ['Dockerfile', '/again'],
};

const SINGLE: Text = {
  name: 'single',
  on: LARGE,
  commands: 1,
  text: (base) => `FROM ${base}
RUN echo 1 > /etc/one
CMD ["/bin/sh"]
`,
  files: new Map(),
  edited: ['Dockerfile', 'echo 1'],
};

/** Forty translation units, compiled on all processors. */
const UNITS = Array.from({ length: 40 }, (_, unit) => `unit${unit}`);

const PARALLEL: Text = {
  name: 'parallel',
  commands: 1,
  text: (base) => `FROM ${base} AS build
COPY . /src
RUN make -C /src -j$(nproc) CC=gcc
FROM scratch
COPY --from=build /src/program /
`,
  files: new Map([
    ['Makefile', `program: ${UNITS.map((name) => `${name}.o`).join(' ')}\n\t$(CC) -o $@ $^\n`],
    ...UNITS.map((name, unit) => [`${name}.c`, unitText(name, unit)] as const),
  ]),
  edited: ['unit1.c', 's = 1'],
};

/** Returns a translation unit with headers and some functions; the first has `main`. */
function unitText(name: string, unit: number): string {
  const body = 'for (int i = 0; i < n; i++) s += (unsigned char)p[i] * (n - i) ^ s >> 3;';
  const functions = Array.from(
    { length: 20 },
    (_, index) =>
      `int ${name}_${index}(const char *p, int n) { int s = ${index}; ${body} return s; }`,
  );
  const main = unit === 0 ? 'int main(void) { return unit0_0("", 0); }\n' : '';
  return `#include <stdio.h>\n#include <stdlib.h>\n${functions.join('\n')}\n${main}`;
}

const BIG: Text = {
  name: 'big-file',
  commands: 0,
  text: () => 'FROM scratch\nCOPY file /\n',
  // Incompressible, and the same each time.
  files: new Map([['file', pseudoRandom(200_000_000)]]),
  edited: ['file', ''],
};

/** Twelve stages: one, ten on it that could run at once, and one with the results of all. */
const BRANCHES = Array.from({ length: 10 }, (_, branch) => `branch${branch}`);

const DIAMOND: Text = {
  name: 'diamond',
  commands: 11,
  text: (base) =>
    [
      `FROM ${base} AS top`,
      'COPY file /',
      'RUN mkdir /out',
      ...BRANCHES.flatMap((name) => [
        `FROM top AS ${name}`,
        `RUN for i in 1 2 3 4 5; do sha256sum /usr/bin/gcc* /file; done > /out/${name}`,
      ]),
      'FROM scratch',
      ...BRANCHES.map((name) => `COPY --from=${name} /out/ /`),
      '',
    ].join('\n'),
  files: new Map([['file', 'text']]),
  edited: ['file', 'text'],
};

/** Returns bytes that do not compress. */
function pseudoRandom(length: number): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(length));
}

const ALL = [SAMPLE, STEPS, CONTEXT, SINGLE, PARALLEL, BIG, DIAMOND, GO, SERVICE];

/** How a case gets its base image. */
export interface Bases {
  /** The usual one. */
  readonly usual: Base;
  /** Returns the image that lkt's store has by a name. */
  readonly named: (name: string) => Base;
  /** Builds a package as a base image. */
  readonly built: (item: Case) => Base;
}

/** Writes the workspaces. */
export function writeCases(
  directory: string,
  wanted: (name: string) => boolean,
  bases: Bases,
): readonly Case[] {
  const baseOf = ({ on }: Text): Base => {
    if (on === undefined) return bases.usual;
    return typeof on === 'string' ? bases.named(on) : bases.built(write(directory, baseOf(on), on));
  };
  return ALL.filter(({ name }) => wanted(name)).map((text) => write(directory, baseOf(text), text));
}

function write(parent: string, base: Base, item: Text): Case {
  const { name, commands, text, files, copied, edited } = item;
  const top = join(parent, name);
  const directory = join(top, 'pkg', name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'build.yml'), `org: bench\nimage: ${name}\narches: [amd64]\n`);
  writeFileSync(join(directory, 'Dockerfile'), text(`${base.name}@${base.digest}`));
  for (const [path, content] of files) {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  copied?.(directory);
  const git = (...args: readonly string[]): void => {
    const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost'];
    execFileSync('git', [...who, ...args], { cwd: top, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'bench');
  const [file, before] = edited;
  const original = files.get(file) ?? readFileSync(join(directory, file), 'utf8');
  if (!original.includes(before)) throw new Error(`${name}: ${file} has no ${before} to edit`);
  const dockerfile = join(parent, `${name}.Dockerfile`);
  writeFileSync(dockerfile, text('base'));
  let edits = 0;
  const edit = (): void => {
    edits += 1;
    const change = (path: string, content: string | Buffer): void =>
      writeFileSync(
        path,
        typeof content === 'string'
          ? content.replace(before, `${before}${edits}`)
          : Buffer.concat([content, Buffer.from(`${edits}`)]),
      );
    if (file !== 'Dockerfile') {
      change(join(directory, file), original);
      return;
    }
    change(join(directory, file), text(`${base.name}@${base.digest}`));
    change(dockerfile, text('base'));
  };
  return { name, commands, directory, dockerfile, base, edit };
}
