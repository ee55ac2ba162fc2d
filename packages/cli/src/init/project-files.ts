import type { CiIdentity, CiSystem } from './ci-identity.ts';
import { imageConfig, type Template, WEB_PORT } from './image-template.ts';
import { PRIVATE_KEY } from '../session/signer.ts';
import { type Language, packageFiles } from './package-templates.ts';
import type { SshKey } from './ssh-keys.ts';
import { trustFile } from './trust-template.ts';

/** A new workspace. */
export interface Project {
  /** Name of the image, of its config and of the npm package. */
  readonly name: string;
  readonly org: string;
  readonly template: Template;
  readonly language: Language;
  readonly ci: CiSystem;
  /** Source of the collection `lkt`. */
  readonly source: string;
  readonly registry: string | undefined;
  /** Public key that signed the images of the registry. */
  readonly registryKey: string | undefined;
  /** Key that signs own images, as PEM. */
  readonly signingKey: { readonly publicKey: string; readonly privateKey: string } | undefined;
  /** The identity with which CI signs own images. */
  readonly identity: CiIdentity | undefined;
  /** Text of the trusted root for it, if the user has one. */
  readonly trustedRoot: string | undefined;
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
    hasTrustFile: true,
    keys: keys.map(({ file }) => `../keys/${file}`),
  });
  const port = template === 'web' ? WEB_PORT : undefined;
  const { registry, registryKey, signingKey, identity, trustedRoot } = project;
  const hasRegistryKey = registry !== undefined && registryKey !== undefined;
  const trust = trustFile({
    org,
    registry: hasRegistryKey ? { prefix: registry, keyFile: REGISTRY_KEY } : undefined,
    keyFile: signingKey === undefined ? undefined : PUBLIC_KEY,
    identity,
    rootFile: trustedRoot === undefined ? undefined : TRUSTED_ROOT,
  });
  return new Map([
    ['lkt.yml', workspaceFile(project)],
    ['trust.yml', trust],
    ...(hasRegistryKey ? [[REGISTRY_KEY, registryKey] as const] : []),
    ...(signingKey === undefined
      ? []
      : ([
          [PUBLIC_KEY, signingKey.publicKey],
          [PRIVATE_KEY, signingKey.privateKey],
        ] as const)),
    ...(trustedRoot === undefined ? [] : [[TRUSTED_ROOT, trustedRoot] as const]),
    [`images/${name}.yml`, image],
    ...keys.map((key) => [`keys/${key.file}`, `${key.line}\n`] as const),
    ...Object.entries(packageFiles({ name: 'hello', language, tools: SYSTEM, port })).map(
      ([file, text]) => [`pkg/hello/${file}`, text] as const,
    ),
    ['package.json', packageJson(project)],
    ['.gitignore', `${IGNORED.join('\n')}\n`],
    ['.audit.yml', WAIVERS],
    ...(ci === 'github' ? [['.github/workflows/lkt.yml', GITHUB] as const] : []),
    ...(ci === 'gitlab' ? [['.gitlab-ci.yml', GITLAB] as const] : []),
  ]);
}

/** The patterns of files that git ignores. */
export const IGNORED = ['node_modules/', 'out/', '*.key'] as const;

/** The public key of {@link PRIVATE_KEY}. */
export const PUBLIC_KEY = 'keys/release.pub';
const TRUSTED_ROOT = 'trusted_root.json';
const REGISTRY_KEY = 'keys/lkt.pub';

/** The name of the collection with the system's packages and the toolchains. */
export const SYSTEM = 'lkt';

/** Logins and services in shell have a C program of Debian. */
const WAIVERS = `# Findings of lkt audit that are accepted, with the reasons.
waivers:
  - rules: [stack-protector]
    files: [/usr/lib64/ld-linux-x86-64.so.2]
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
      - run: sudo apt-get update && sudo apt-get install --yes --no-install-recommends debian-archive-keyring gpgv qemu-system-x86
      # Ubuntu's AppArmor denies builds their namespaces.
      - run: sudo sysctl --ignore --write kernel.apparmor_restrict_unprivileged_userns=0
      - run: npm ci
      - run: npx lkt pin --check
      - run: npm run build
        env:
          LKT_DEBIAN_MIRROR: \${{ vars.LKT_DEBIAN_MIRROR }}
      # Boots the image, and makes the checks of its section \`tests\`.
      - run: npm test
`;

const GITLAB = `build:
  image: debian:trixie-slim
  script:
    - apt-get update && apt-get install --yes --no-install-recommends debian-archive-keyring git gpgv npm qemu-system-x86
    - npm ci
    - npx lkt pin --check
    - npm run build
    # Boots the image, and makes the checks of its section \`tests\`.
    - npm test
`;
