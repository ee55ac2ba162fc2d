import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

interface Text {
  readonly name: string;
  /** The case starts from the large base image. */
  readonly isLarge?: boolean;
  readonly commands: number;
  /** Returns the Dockerfile for a base image. */
  readonly text: (base: string) => string;
  readonly files: ReadonlyMap<string, string>;
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

const SINGLE: Text = {
  name: 'single',
  isLarge: true,
  commands: 1,
  text: (base) => `FROM ${base}
RUN echo 1 > /etc/one
CMD ["/bin/sh"]
`,
  files: new Map(),
  edited: ['Dockerfile', 'echo 1'],
};

/** The base image with a second layer that repeats its programs and libraries: over 350 MB. */
const LARGE: Text = {
  name: 'large',
  commands: 1,
  text: (base) => `FROM ${base}\nRUN cp -a /usr /again\n`,
  files: new Map(),
  edited: ['Dockerfile', '/again'],
};

/**
 * Writes the workspaces.
 * @param large - builds the large base image; called only if a case needs it
 */
export function writeCases(
  directory: string,
  wanted: (name: string) => boolean,
  base: Base,
  large: (item: Case) => Base,
): readonly Case[] {
  const texts = [SAMPLE, STEPS, CONTEXT, SINGLE].filter(({ name }) => wanted(name));
  const again = texts.some(({ isLarge }) => isLarge === true)
    ? large(write(directory, base, LARGE))
    : base;
  return texts.map((text) => write(directory, text.isLarge === true ? again : base, text));
}

function write(parent: string, base: Base, { name, commands, text, files, edited }: Text): Case {
  const top = join(parent, name);
  const directory = join(top, 'pkg', name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'build.yml'), `org: bench\nimage: ${name}\narches: [amd64]\n`);
  writeFileSync(join(directory, 'Dockerfile'), text(`${base.name}@${base.digest}`));
  for (const [path, content] of files) {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  const git = (...args: readonly string[]): void => {
    const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost'];
    execFileSync('git', [...who, ...args], { cwd: top, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'bench');
  const dockerfile = join(parent, `${name}.Dockerfile`);
  writeFileSync(dockerfile, text('base'));
  let edits = 0;
  const edit = (): void => {
    edits += 1;
    const [file, before] = edited;
    const change = (path: string, content: string): void =>
      writeFileSync(path, content.replace(before, `${before}${edits}`));
    if (file !== 'Dockerfile') {
      change(join(directory, file), files.get(file) ?? '');
      return;
    }
    change(join(directory, file), text(`${base.name}@${base.digest}`));
    change(dockerfile, text('base'));
  };
  return { name, commands, directory, dockerfile, base, edit };
}
