import { posix, resolve } from 'node:path';
import { LktError, parseYaml, type SourceFile, type YamlValue } from '@lkt/core';
import { type DebianBlock, parseDebianSpec } from '@lkt/debian/description';
import { familiarReference, parseReference, type RawPath, toRaw } from '@lkt/oci';
import { type DockerImages, parseDepends, relativePath } from './docker-images.ts';
import { type ImageRuntimeConfig, parseImageRuntimeConfig } from './image-config.ts';
import { DEFAULT_TAG, renderTag } from './tag.ts';

/** A package as its build.yml describes it. */
export interface PackageSpec {
  /** Absolute. */
  readonly dir: string;
  readonly file: SourceFile;
  /** `org/image`, as references have it: without `docker.io`. */
  readonly name: string;
  readonly org: string;
  readonly image: string;
  /** Template, see `renderTag`. */
  readonly tag: string;
  /** Relative to `dir`, with slashes. */
  readonly dockerfile: string;
  /** As OCI names them: `amd64`. */
  readonly arches: readonly string[];
  readonly extraSources: readonly ExtraSource[];
  readonly gitrepo: string | undefined;
  /** Whether RUN may use the network. */
  readonly network: boolean;
  readonly disableCache: boolean;
  readonly config: ImageRuntimeConfig | undefined;
  readonly buildArgs: readonly BuildArg[];
  /** Images that are put into the build context. */
  readonly depends: DockerImages | undefined;
  /** The secrets that `RUN --mount=type=secret` may ask for. Only their ids: values come from the command line. */
  readonly secrets: readonly SecretId[];
  /** Stage of the Dockerfile that becomes the image; default: the last. */
  readonly target: { readonly stage: string; readonly at: YamlValue } | undefined;
  /** Whether two builds of the sources give the same image. */
  readonly reproducible: boolean;
  /** Why they do not, if build.yml says. */
  readonly notReproducibleBecause: string | undefined;
  /** Makes the image from Debian packages instead of a Dockerfile. */
  readonly debian: DebianBlock | undefined;
}

/** A directory outside the package whose files are in the build context, and in the source hash. */
export interface ExtraSource {
  /** Absolute. */
  readonly source: string;
  /** Where in the context; '' is its top. */
  readonly destination: RawPath;
  readonly at: YamlValue;
}

/** `NAME=value`; the value may be a calculated one, see `resolveBuildArgs`. */
export interface BuildArg {
  readonly name: string;
  readonly value: string;
  readonly at: YamlValue;
}

/** A secret as build.yml names it. */
export interface SecretId {
  readonly id: string;
  readonly at: YamlValue;
}

export const BUILD_YML = 'build.yml';

const KEYS = [
  'image',
  'org',
  'tag',
  'dockerfile',
  'arches',
  'extra-sources',
  'gitrepo',
  'network',
  'disable-cache',
  'config',
  'buildArgs',
  'depends',
  'secrets',
  'target',
  'reproducible',
  'debian',
] as const;

/**
 * Reads a build.yml: LinuxKit's keys and defaults, and lkt's own: `debian`, `secrets`, `target`, `reproducible`.
 * @param dir absolute directory of the package
 * @throws LktError CONFIG_INVALID with line and column
 */
export function parseBuildYml(file: SourceFile, dir: string): PackageSpec {
  const root = parseYaml(file);
  const fields = root.fields(KEYS);
  const given = (key: (typeof KEYS)[number]): YamlValue | undefined =>
    fields[key]?.isNull() === true ? undefined : fields[key];
  const image = given('image');
  if (image === undefined) throw root.error('"image" is missing', { fix: 'add: image: NAME' });
  const org = given('org');
  const name = readName(image, org);
  const tag = given('tag');
  if (tag !== undefined) wrap(tag, () => renderTag(tag.text(), '0'.repeat(40)));
  const dockerfile = given('dockerfile');
  const target = given('target');
  const debian = given('debian');
  for (const other of [dockerfile, target, given('secrets'), given('depends')]) {
    if (debian === undefined || other === undefined) continue;
    throw other.error('a package with "debian" has no Dockerfile', {
      fix: 'take out one of the two',
    });
  }
  const config = given('config');
  const depends = given('depends');
  return {
    dir,
    file,
    name,
    org: org?.string() ?? 'linuxkit',
    image: image.string(),
    tag: tag?.text() ?? DEFAULT_TAG,
    dockerfile: dockerfile === undefined ? 'Dockerfile' : relativePath(dockerfile),
    arches: given('arches')?.list().map(arch) ?? ['amd64', 'arm64', 'riscv64'],
    extraSources:
      given('extra-sources')
        ?.list()
        .map((item) => extraSource(item, dir)) ?? [],
    gitrepo: given('gitrepo')?.string(),
    network: given('network')?.boolean() ?? false,
    disableCache: given('disable-cache')?.boolean() ?? false,
    config: config === undefined ? undefined : parseImageRuntimeConfig(config),
    buildArgs: given('buildArgs')?.list().map(buildArg) ?? [],
    depends: depends === undefined ? undefined : parseDepends(depends),
    secrets: secretIds(given('secrets')),
    target: target === undefined ? undefined : { stage: target.text(), at: target },
    ...reproducibility(given('reproducible')),
    debian: debian === undefined ? undefined : parseDebianSpec(debian),
  };
}

function readName(image: YamlValue, org: YamlValue | undefined): string {
  const text = `${org?.string() ?? 'linuxkit'}/${image.string()}`;
  const reference = wrap(org ?? image, () => parseReference(text));
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw image.error('the name of a package has no tag and no digest', {
      fix: 'use "tag" for the tag',
    });
  }
  return familiarReference(reference);
}

function arch(value: YamlValue): string {
  const text = value.string();
  if (/^[a-z0-9_]+$/.test(text)) return text;
  throw value.error(`"${text}" is not an architecture`, { fix: 'use amd64, arm64 or riscv64' });
}

function extraSource(value: YamlValue, dir: string): ExtraSource {
  const text = value.string();
  const [source, target, more] = text.split(':');
  if (source === undefined || source === '' || target === undefined || more !== undefined) {
    throw value.error(`"${text}" is not an extra source`, {
      fix: 'write it as DIRECTORY:DESTINATION, such as ../common:/common',
    });
  }
  const destination = posix.normalize(`/${target}`).replace(/^\/+/, '').replace(/\/+$/, '');
  return { source: resolve(dir, source), destination: toRaw(destination), at: value };
}

function buildArg(value: YamlValue): BuildArg {
  const text = value.string();
  const equals = text.indexOf('=');
  if (equals <= 0) {
    throw value.error(`"${text}" is not a build argument`, { fix: 'write it as NAME=VALUE' });
  }
  return { name: text.slice(0, equals), value: text.slice(equals + 1), at: value };
}

function secretIds(list: YamlValue | undefined): readonly SecretId[] {
  const secrets = (list?.list() ?? []).map((at) => ({ id: at.string(), at }));
  for (const [index, { id, at }] of secrets.entries()) {
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(id)) {
      throw at.error(`"${id}" is not the id of a secret`, {
        fix: 'use letters, digits, "_", "." and "-"',
      });
    }
    if (secrets.findIndex((other) => other.id === id) !== index)
      throw at.error(`the secret "${id}" is there twice`);
  }
  return secrets;
}

/** `true`, `false`, or in words why it is not. */
function reproducibility(
  value: YamlValue | undefined,
): Pick<PackageSpec, 'reproducible' | 'notReproducibleBecause'> {
  const plain = value?.plain();
  if (value === undefined || plain === true)
    return { reproducible: true, notReproducibleBecause: undefined };
  if (plain === false) return { reproducible: false, notReproducibleBecause: undefined };
  const reason = value.string().trim();
  if (reason === '') throw value.error('the reason is empty', { fix: 'write false, or why' });
  return { reproducible: false, notReproducibleBecause: reason };
}

/** Gives an error of a value's parser the place of the value. */
function wrap<T>(value: YamlValue, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw value.error(error.message, error.fix === undefined ? {} : { fix: error.fix });
  }
}
