import { hasLogin, imageConfig, type Template, WEB_PORT } from './image-template.ts';
import { type Language, packageFiles } from './package-templates.ts';
import type { SshKey } from './ssh-keys.ts';

/** The CI systems that have a workflow. */
export const CI_SYSTEMS = ['github', 'gitlab', 'none'] as const;

/** A new workspace. */
export interface Project {
  /** Name of the image, of its config and of the npm package. */
  readonly name: string;
  readonly org: string;
  readonly template: Template;
  readonly language: Language;
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
  const { name, org, template, language, keys, ci } = project;
  const image = imageConfig({
    name,
    path: `images/${name}.yml`,
    template,
    system: SYSTEM,
    services: [{ name: 'hello', image: `${org}/hello` }],
    keys: keys.map(({ file }) => `../keys/${file}`),
  });
  const port = template === 'web' ? WEB_PORT : undefined;
  return new Map([
    ['lkt.yml', workspaceFile(project)],
    [`images/${name}.yml`, image],
    ...keys.map((key) => [`keys/${key.file}`, `${key.line}\n`] as const),
    ...Object.entries(packageFiles({ name: 'hello', language, tools: SYSTEM, port })).map(
      ([file, text]) => [`pkg/hello/${file}`, text] as const,
    ),
    ['package.json', packageJson(project)],
    ['.gitignore', 'node_modules/\nout/\n*.key\n'],
    ...(hasLogin(template) ? [['.audit.yml', WAIVERS] as const] : []),
    ...(ci === 'github' ? [['.github/workflows/lkt.yml', GITHUB] as const] : []),
    ...(ci === 'gitlab' ? [['.gitlab-ci.yml', GITLAB] as const] : []),
  ]);
}

/** The name of the collection with the system's packages and the toolchains. */
const SYSTEM = 'lkt';

/** The shell of a login is a C program of Debian. */
const WAIVERS = `# Findings of lkt audit that are accepted, with the reasons.
waivers:
  - rules: [stack-protector]
    files: [/usr/lib64/ld-linux-x86-64.so.2]
    images: [${SYSTEM}/sshd]
    reason: it sets up the canaries, so glibc compiles it without them
`;

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
        start: `lkt run images/${name}.yml`,
        test: `lkt test images/${name}.yml`,
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
