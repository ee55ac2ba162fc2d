import { serverFiles } from './server-template.ts';

/** The languages of new packages. */
export const LANGUAGES = ['go', 'c', 'shell'] as const;
export type Language = (typeof LANGUAGES)[number];

/** A new package. */
export interface NewPackage {
  /** Name of the image, the program and the directory. */
  readonly name: string;
  /** Undefined if lkt.yml has it. */
  readonly org?: string | undefined;
  readonly language: Language;
  /** Organization of the toolchains: `lkt`. */
  readonly tools: string;
  /** The program is a web server at this port. */
  readonly port?: number | undefined;
}

/** The image that each language needs, after the organization. */
export const TOOLS: Readonly<Record<Language, string>> = {
  go: 'go-static',
  c: 'c',
  shell: 'login',
};

/**
 * Returns the files of a package with a service that writes a line a minute, or serves its name;
 * keyed by file name.
 * @throws USAGE_INVALID for a web server in a language without a template of one
 */
export function packageFiles(item: NewPackage): Readonly<Record<string, string>> {
  const sources = SOURCES[item.language](item);
  return {
    'build.yml': buildYml(item),
    ...sources,
    ...(item.port === undefined ? {} : serverFiles(item, item.port, sources)),
  };
}

function buildYml({ name, org, port }: NewPackage): string {
  return `${org === undefined ? '' : `org: ${org}\n`}image: ${name}
arches: [amd64]
config:
  readonly: true
  noNewPrivileges: true
  net: ${port === undefined ? 'new' : 'host'}
  ipc: new
  uts: new
  uid: 1000
  gid: 1000
  capabilities: []
  resources:
    memory: { limit: 33554432 } # 32 MiB
    pids: { limit: 64 }
`;
}

type Sources = (item: NewPackage) => Readonly<Record<string, string>>;

const SOURCES: Readonly<Record<Language, Sources>> = {
  c: ({ name, tools }) => ({
    Dockerfile: `FROM ${tools}/${TOOLS.c} AS build
WORKDIR /src
COPY ${name}.c .
RUN mkdir -p /out/usr/bin \\
 && gcc -O2 -Wall -static-pie -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=3 \\
    -Wl,-z,relro,-z,now -o /out/usr/bin/${name} ${name}.c

FROM scratch
COPY --from=build /out/ /
ENTRYPOINT ["/usr/bin/${name}"]
`,
    [`${name}.c`]: `#include <stdio.h>
#include <unistd.h>

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (;;) {
    puts("${name}");
    sleep(60);
  }
}
`,
  }),
  go: ({ name, tools }) => ({
    Dockerfile: `FROM ${tools}/${TOOLS.go} AS build
WORKDIR /src
COPY go.mod main.go .
# Without this time, go would first remove most of the compiled standard library from its cache.
RUN date +%s > "$GOCACHE/trim.txt" && go build -o /out/usr/bin/${name} .

FROM scratch
COPY --from=build /out/ /
ENTRYPOINT ["/usr/bin/${name}"]
`,
    'go.mod': `module ${name}\n\ngo 1.24\n`,
    'main.go': `// The program ${name} writes its name once a minute.
package main

import (
	"fmt"
	"time"
)

func main() {
	for {
		fmt.Println("${name}")
		time.Sleep(time.Minute)
	}
}
`,
  }),
  shell: ({ name, tools }) => ({
    Dockerfile: `# A shell with the commands of busybox.
FROM ${tools}/${TOOLS.shell}
COPY --chmod=755 ${name}.sh /usr/bin/${name}
ENTRYPOINT ["/usr/bin/${name}"]
`,
    [`${name}.sh`]: `#!/bin/sh
# Writes its name once a minute.
set -eu
while true; do
  echo "${name}"
  sleep 60
done
`,
  }),
};
