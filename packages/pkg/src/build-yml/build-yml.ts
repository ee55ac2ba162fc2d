import { posix, resolve } from 'node:path';
import {
  boolean,
  either,
  type Fields,
  type JsonSchema,
  list,
  optional,
  withDefault,
  parseYaml,
  record,
  required,
  scalar,
  SchemaWriter,
  type SourceFile,
  text as anyText,
  type Values,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { DEBIAN, type DebianBlock } from '@lkt/debian/description';
import { familiarReference, parseReference, type RawPath, toRaw } from '@lkt/oci';
import type { BuildArg } from './build-args.ts';
import { located } from './located.ts';
import { DEPENDS, type DockerImages, relativePath } from './docker-images.ts';
import { IMAGE_CONFIG, type ImageRuntimeConfig } from './image-config.ts';
import { DEFAULT_TAG, renderTag } from '../pins/tag.ts';

/** A package as its build.yml describes it. */
export interface PackageSpec {
  /** Absolute path. */
  readonly dir: string;
  readonly file: SourceFile;
  /** `org/image` in familiar form, without `docker.io`. */
  readonly name: string;
  readonly org: string;
  readonly image: string;
  /** Tag template; see `renderTag`. */
  readonly tag: string;
  /** Relative to `dir`, with slashes. */
  readonly dockerfile: string;
  /** OCI architectures, such as `amd64`. */
  readonly arches: readonly string[];
  readonly extraSources: readonly ExtraSource[];
  readonly gitrepo: string | undefined;
  /** Whether RUN may use the network. */
  readonly network: boolean;
  readonly disableCache: boolean;
  readonly config: ImageRuntimeConfig | undefined;
  readonly buildArgs: readonly BuildArg[];
  /** The images to put into the build context. */
  readonly depends: DockerImages | undefined;
  /**
   * Ids of the secrets that `RUN --mount=type=secret` may use. The values come from the command
   * line.
   */
  readonly secrets: readonly SecretId[];
  /** The stage that becomes the image; default: the last stage of the Dockerfile. */
  readonly target: { readonly stage: string; readonly at: YamlValue } | undefined;
  /** Whether two builds of the same sources produce equal images. */
  readonly reproducible: boolean;
  /** The reason in build.yml why they do not, if it has one. */
  readonly nonReproducibleReason: string | undefined;
  /** Builds the image from Debian packages instead of a Dockerfile. */
  readonly debian: DebianBlock | undefined;
}

/**
 * A directory outside the package whose files are part of the build context and of the source hash.
 */
interface ExtraSource {
  /** Absolute path. */
  readonly source: string;
  /** Path in the build context; empty for its top. */
  readonly destination: RawPath;
  readonly at: YamlValue;
}

/** The id of a secret in build.yml. */
interface SecretId {
  readonly id: string;
  readonly at: YamlValue;
}

const text = anyText();

/** GOARCH values, as the OCI image-spec requires. */
const ARCHES = [
  'amd64',
  'arm64',
  'riscv64',
  '386',
  'arm',
  'loong64',
  'mips',
  'mips64',
  'mips64le',
  'mipsle',
  'ppc64',
  'ppc64le',
  's390x',
] as const;

const ARCH: YamlType<string> = anyText({
  matches: new RegExp(`^(?:${ARCHES.join('|')})$`),
  problem: (arch) => `"${arch}" is not an architecture`,
  fix: `use some of: ${ARCHES.join(', ')}`,
});

/** Parses `DIRECTORY:DESTINATION`. `parseBuildYml` makes the directory absolute. */
const EXTRA_SOURCE: YamlType<ExtraSource> = anyText({
  matches: /^[^:]+:[^:]*$/,
  problem: (source) => `"${source}" is not an extra source`,
  fix: 'write it as DIRECTORY:DESTINATION, such as ../common:/common',
}).transform((given, at) => {
  const [source = '', target = ''] = given.split(':');
  const destination = posix.normalize(`/${target}`).replace(/^\/+/, '').replace(/\/+$/, '');
  return { source, destination: toRaw(destination), at };
});

const BUILD_ARG: YamlType<Omit<BuildArg, 'dir'>> = anyText({
  matches: /^[^=]+=/,
  problem: (arg) => `"${arg}" is not a build argument`,
  fix: 'write it as NAME=VALUE',
}).transform((given, at) => {
  const equals = given.indexOf('=');
  return { name: given.slice(0, equals), value: given.slice(equals + 1), at };
});

const SECRETS: YamlType<readonly SecretId[]> = list(
  anyText({
    matches: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
    problem: (id) => `"${id}" is not the id of a secret`,
    fix: 'use letters, digits, "_", "." and "-"',
  }).transform((id, at) => ({ id, at })),
).transform((secrets) => {
  for (const [index, { id, at }] of secrets.entries())
    if (secrets.findIndex((other) => other.id === id) !== index)
      throw at.error(`duplicate secret "${id}"`);
  return secrets;
});

/** Parses `true`, `false`, or the reason why the package is not reproducible. */
const REPRODUCIBLE: YamlType<Pick<PackageSpec, 'reproducible' | 'nonReproducibleReason'>> = either(
  boolean.transform((reproducible) => ({ reproducible, nonReproducibleReason: undefined })),
  (value) => !value.isString(),
  text.transform((given, value) => {
    const reason = given.trim();
    if (reason === '') throw value.error('the reason is empty', { fix: 'write false or a reason' });
    return { reproducible: false, nonReproducibleReason: reason };
  }),
);

const TAG: YamlType<string> = scalar.transform((tag, value) => {
  located(value, () => renderTag(tag, '0'.repeat(40)));
  return tag;
});

const withPosition = <T>(
  type: YamlType<T>,
): YamlType<{ readonly value: T; readonly at: YamlValue }> =>
  type.transform((value, at) => ({ value, at }));

/** LinuxKit's keys, then those of lkt alone. */
const FIELDS = {
  image: required(withPosition(text), 'name of the image', 'add: image: NAME'),
  org: optional(
    withPosition(text),
    'organization before the name; default: that of lkt.yml, else linuxkit',
  ),
  tag: withDefault(TAG, DEFAULT_TAG, 'template for the tag; {{.Hash}} is the source hash'),
  dockerfile: optional(
    text.transform((_path, value) => relativePath(value)),
    'path of the Dockerfile in the package; default: Dockerfile',
  ),
  arches: withDefault(list(ARCH), ['amd64', 'arm64', 'riscv64'], 'supported architectures'),
  'extra-sources': withDefault(
    list(EXTRA_SOURCE),
    [],
    'further directories for the build context: DIRECTORY:DESTINATION',
  ),
  gitrepo: optional(text, 'URL of the source repository'),
  network: withDefault(boolean, false, 'whether RUN may use the network'),
  'disable-cache': withDefault(boolean, false, 'whether to ignore cached steps'),
  config: optional(IMAGE_CONFIG, "runtime settings of the image's container"),
  buildArgs: withDefault(list(BUILD_ARG), [], 'build arguments of the Dockerfile: NAME=VALUE'),
  depends: optional(DEPENDS, 'images to put into the build context'),
  secrets: optional(SECRETS, 'ids of the secrets that RUN may use'),
  target: optional(
    withPosition(scalar),
    'stage of the Dockerfile that becomes the image; default: the last',
  ),
  reproducible: optional(
    REPRODUCIBLE,
    'whether two builds produce the same image, or the reason why not',
  ),
  debian: optional(DEBIAN, 'Debian packages to build the image from, instead of a Dockerfile'),
} satisfies Fields;

const BUILD = record(FIELDS);

/** Returns the JSON schema of build.yml. It accepts every valid file, and some invalid ones. */
export function buildYmlSchema(): JsonSchema {
  const writer = new SchemaWriter({ isLenient: true });
  return writer.document('build.yml', 'A package of lkt or LinuxKit', BUILD.schema(writer));
}

/**
 * Parses a build.yml: LinuxKit's keys with its defaults, and `debian`, `secrets`, `target` and
 * `reproducible`.
 * @param dir absolute directory of the package
 * @param defaultOrg the organization of a build.yml without one
 * @throws CONFIG_INVALID with line and column
 * @example
 * ```ts
 * const file = { path: 'pkg/sshd/build.yml', text };
 * const { name, arches } = parseBuildYml(file, resolve('pkg/sshd'));
 * ```
 */
export function parseBuildYml(file: SourceFile, dir: string, defaultOrg = 'linuxkit'): PackageSpec {
  const value = parseYaml(file);
  const {
    image,
    org,
    'extra-sources': extraSources,
    'disable-cache': disableCache,
    target,
    reproducible,
    gitrepo,
    config,
    depends,
    debian,
    ...given
  } = BUILD.read(value);
  for (const key of ['dockerfile', 'target', 'secrets', 'depends']) {
    const other = value.entries().get(key);
    if (debian === undefined || other === undefined || other.isNull()) continue;
    throw other.error('a package with "debian" has no Dockerfile', {
      fix: 'remove one of the two',
    });
  }
  return {
    ...given,
    gitrepo,
    config,
    depends,
    debian,
    dir,
    file,
    name: nameOf({ image, org }, defaultOrg),
    org: org?.value ?? defaultOrg,
    image: image.value,
    dockerfile: given.dockerfile ?? 'Dockerfile',
    extraSources: extraSources.map((extra) => ({ ...extra, source: resolve(dir, extra.source) })),
    disableCache,
    buildArgs: given.buildArgs.map((arg) => ({ ...arg, dir })),
    secrets: given.secrets ?? [],
    target: target === undefined ? undefined : { stage: target.value, at: target.at },
    ...(reproducible ?? { reproducible: true, nonReproducibleReason: undefined }),
  };
}

function nameOf(
  { image, org }: Pick<Values<typeof FIELDS>, 'image' | 'org'>,
  defaultOrg: string,
): string {
  const name = `${org?.value ?? defaultOrg}/${image.value}`;
  const reference = located((org ?? image).at, () => parseReference(name));
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw image.at.error('the name of a package must not have a tag or digest', {
      fix: 'use "tag" for the tag',
    });
  }
  return familiarReference(reference);
}
