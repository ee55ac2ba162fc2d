import type { SshKey } from './ssh-keys.ts';

/** The names of templates. */
export const TEMPLATES = ['minimal', 'sshd'] as const;
/** The languages of the first package. */
export const LANGUAGES = ['go', 'c'] as const;
/** The CI systems that have a workflow. */
export const CI_SYSTEMS = ['github', 'gitlab', 'none'] as const;

/** A new workspace. */
export interface Project {
  /** Name of the image, of its config and of the npm package. */
  readonly name: string;
  readonly org: string;
  readonly template: (typeof TEMPLATES)[number];
  readonly language: (typeof LANGUAGES)[number];
  readonly ci: (typeof CI_SYSTEMS)[number];
  /** Source of the collection `lkt`. */
  readonly source: string;
  readonly registry: string | undefined;
  /** For a login over ssh. */
  readonly keys: readonly SshKey[];
  /** Version of lkt; undefined if it is not released. */
  readonly version: string | undefined;
}

/** Returns the files of a new workspace by path, in the order in which they are listed. */
export function projectFiles(project: Project): ReadonlyMap<string, string> {
  const { name, keys, ci } = project;
  return new Map([
    ['lkt.yml', workspaceFile(project)],
    [`images/${name}.yml`, imageConfig(project)],
    ...keys.map((key) => [`keys/${key.file}`, `${key.line}\n`] as const),
    ...Object.entries(helloPackage(project)).map(
      ([file, text]) => [`pkg/hello/${file}`, text] as const,
    ),
    ['package.json', packageJson(project)],
    ['.gitignore', 'node_modules/\nout/\n*.key\n'],
    ...(ci === 'github' ? [['.github/workflows/lkt.yml', GITHUB] as const] : []),
    ...(ci === 'gitlab' ? [['.gitlab-ci.yml', GITLAB] as const] : []),
  ]);
}

function workspaceFile({ org, source, registry }: Project): string {
  const lines = [
    `org: ${org}`,
    'images: ["images/*.yml"]',
    'collections:',
    '  lkt:',
    `    source: ${source}`,
    ...(registry === undefined ? [] : [`    registry: ${registry}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function imageConfig({ name, org, template, keys }: Project): string {
  const login =
    template === 'sshd'
      ? `  - name: sshd
    image: lkt/sshd
    after: [dhcp]
`
      : '';
  const files =
    keys.length === 0
      ? ''
      : `files:
  - path: root/.ssh
    directory: true
    mode: '0700'
  - path: root/.ssh/authorized_keys
    source: ../keys/${keys[0]?.file ?? ''}
    mode: '0600'
`;
  return `# ${name}: boots, gets an address by DHCP and runs pkg/hello.
#
#   lkt pin images/${name}.yml
#   lkt build --dir out images/${name}.yml
#   lkt run out/${name}${template === 'sshd' ? ' --publish 127.0.0.1:2222:22' : ''}
#
# Debian's kernel needs no compiler. For the hardened one, which takes ten minutes and more to
# compile, write lkt/linux.
kernel:
  image: lkt/kernel-debian
  cmdline: >-
    console=ttyS0 loglevel=4 panic=1 rootfstype=ramfs mitigations=auto,nosmt lockdown=confidentiality
    slab_nomerge init_on_alloc=1 init_on_free=1 page_alloc.shuffle=1 randomize_kstack_offset=on
    vsyscall=none debugfs=off
init:
  - lkt/init
  - lkt/runc
  - lkt/containerd
services:
  - name: dhcp
    image: lkt/dhcp
    ready: { log: ' has ' } # "eth0 has ADDRESS"
${login}  - name: hello
    image: ${org}/hello
    after: [dhcp]
    restart: on-failure
${files}# Each image must be built here from its sources or signed as a trust rule requires.
trust:
  required: true
`;
}

function helloPackage({ language }: Project): Readonly<Record<string, string>> {
  const buildYml = `image: hello
arches: [amd64]
config:
  readonly: true
  noNewPrivileges: true
  net: new
  ipc: new
  uts: new
  uid: 1000
  gid: 1000
  capabilities: []
  resources:
    memory: { limit: 33554432 } # 32 MiB
    pids: { limit: 64 }
`;
  if (language === 'c')
    return {
      'build.yml': buildYml,
      Dockerfile: `FROM lkt/c AS build
WORKDIR /src
COPY hello.c .
RUN mkdir -p /out/usr/bin \\
 && gcc -O2 -Wall -static-pie -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=3 \\
    -Wl,-z,relro,-z,now -o /out/usr/bin/hello hello.c

FROM scratch
COPY --from=build /out/ /
ENTRYPOINT ["/usr/bin/hello"]
`,
      'hello.c': `#include <stdio.h>
#include <unistd.h>

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (;;) {
    puts("hello");
    sleep(60);
  }
}
`,
    };
  return {
    'build.yml': buildYml,
    Dockerfile: `FROM lkt/go-static AS build
WORKDIR /src
COPY go.mod main.go .
RUN go build -o /out/usr/bin/hello .

FROM scratch
COPY --from=build /out/ /
ENTRYPOINT ["/usr/bin/hello"]
`,
    'go.mod': 'module hello\n\ngo 1.24\n',
    'main.go': `// Hello says hello once a minute.
package main

import (
	"fmt"
	"time"
)

func main() {
	for {
		fmt.Println("hello")
		time.Sleep(time.Minute)
	}
}
`,
  };
}

function packageJson({ name, source, version }: Project): string {
  const [, npm] = /^npm:(.+)$/.exec(source) ?? [];
  const wanted = version ?? 'latest';
  return `${JSON.stringify(
    {
      name,
      private: true,
      scripts: {
        pin: 'lkt pin',
        build: `lkt build --dir out images/${name}.yml`,
        start: `lkt run out/${name}`,
      },
      devDependencies: { '@lkt/cli': wanted, ...(npm === undefined ? {} : { [npm]: wanted }) },
    },
    undefined,
    2,
  )}\n`;
}

const GITHUB = `name: lkt
on: [push, pull_request]
permissions:
  contents: read
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@11d5960a326750d5838078e36cf38b85af677262 # v4.4.0
        with: { persist-credentials: false }
      - run: sudo apt-get update && sudo apt-get install --yes --no-install-recommends debian-archive-keyring gpgv
      - run: npm ci
      - run: npm run build
        env:
          LKT_DEBIAN_MIRROR: \${{ vars.LKT_DEBIAN_MIRROR }}
`;

const GITLAB = `build:
  image: debian:trixie-slim
  script:
    - apt-get update && apt-get install --yes --no-install-recommends debian-archive-keyring git gpgv npm
    - npm ci
    - npm run build
`;
