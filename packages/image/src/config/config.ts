import {
  anything,
  boolean,
  choice,
  either,
  type JsonSchema,
  list,
  mapping,
  optional,
  withDefault,
  record,
  required,
  scalar,
  SchemaWriter,
  text,
  omitEmpty,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { parsePlatform, type Platform } from '@lkt/oci';
import { type Settings, withSettings } from '@lkt/pkg';
import { type Section, SUPERVISION } from '../runtime/supervision.ts';
import { located } from './fields.ts';
import { type FileEntry, FILES, plainFile } from './files.ts';
import { LAYOUT, type Layout } from './layout.ts';
import { IMAGE, type ImageReference } from './reference.ts';
import { type MachineTest, mergeTests, TESTS } from './tests.ts';
import { TRUST, type TrustSettings } from '../trust/parse-trust.ts';

/** An image config: one YAML file, or several merged. docs/image-yml.md describes every field. */
export interface SystemConfig {
  readonly kernel: KernelSettings;
  readonly init: readonly ImageReference[];
  readonly onboot: readonly Container[];
  readonly onshutdown: readonly Container[];
  readonly services: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly files: readonly FileEntry[];
  /** All of them must accept an image. */
  readonly trust: readonly TrustSettings[];
  /** Checks of `lkt test`; they do not change the image. */
  readonly tests: readonly MachineTest[];
  /** Default: cpio. */
  readonly layout?: Layout;
  /** Image with the boot loaders, for disk formats; not a field of configs. */
  readonly bootLoader?: ImageReference;
}

/** `tar` and `ucode` are `none` or empty to leave them out. */
export interface KernelSettings {
  readonly image?: ImageReference;
  readonly cmdline?: string;
  readonly binary?: string;
  readonly tar?: string;
  readonly ucode?: string;
}

/** An entry of onboot, onshutdown or services. */
export interface Container {
  readonly name: string;
  readonly image: ImageReference;
  readonly settings: Settings;
  /** Position of the name. */
  readonly at: YamlValue;
  readonly item: YamlValue;
}

export interface Volume {
  readonly name: string;
  readonly image?: ImageReference;
  readonly readonly: boolean;
  readonly format: 'filesystem' | 'oci';
  readonly platforms: readonly Platform[];
  /** Position of the name. */
  readonly at: YamlValue;
  readonly item: YamlValue;
}

/**
 * Bytes. x86 and arm64 Linux keep no more (COMMAND_LINE_SIZE less a NUL) and silently drop the
 * rest.
 */
const MAX_COMMAND_LINE_LENGTH = 2047;

const COMMAND_LINE = text().transform((line, at) => {
  if (line.includes('\0'))
    throw at.error('the command line contains a NUL, where Linux ends it', {
      fix: 'remove "\\0"',
    });
  const length = Buffer.byteLength(line);
  if (length > MAX_COMMAND_LINE_LENGTH)
    throw at.error(
      `the command line has ${length} bytes, and Linux keeps only ${MAX_COMMAND_LINE_LENGTH}`,
      { fix: 'shorten it: lkt/init also sets sysctls from files in /etc/sysctl.d' },
    );
  return line;
});

const KERNEL: YamlType<KernelSettings> = record({
  image: optional(
    text().transform((name, value) => (name === '' ? undefined : IMAGE.read(value))),
    'image with the kernel',
  ),
  cmdline: omitEmpty(COMMAND_LINE, 'kernel command line'),
  binary: omitEmpty(text(), 'file in the image; default: kernel'),
  tar: optional(text(), 'archive in the image, unpacked into the root; default: kernel.tar'),
  ucode: optional(text(), 'microcode file in the image; default: none'),
});

/** containerd's rule for ids (pkg/identifiers); also a safe directory name. */
const CONTAINER_NAME = text({
  matches: /^(?=.{1,76}$)[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/,
  problem: (name) => `"${name}" is not a name for a container`,
  fix: 'use up to 76 letters and digits, with single ".", "_" or "-" between them',
});

const CONTAINER: YamlType<Container> = withSettings({
  name: required(
    CONTAINER_NAME.transform((name, at) => ({ name, at })),
    'unique name',
  ),
  image: required(IMAGE, 'image of the container'),
})
  .transform(({ own: { name, image }, settings }, item) => ({ ...name, image, settings, item }))
  .named('container');

/** Returns the type of a section, which rejects fields that have no effect in it. */
function containers(section: Section): YamlType<readonly Container[]> {
  return list(
    CONTAINER.transform((container, item) => {
      for (const [key, sections] of Object.entries(SUPERVISION)) {
        if (sections.includes(section)) continue;
        const field = item.entries().get(key);
        if (field !== undefined && !field.isNull())
          throw field.error(`it has no effect in ${section}`, {
            fix: `use it in ${sections.join(' or ')}`,
          });
      }
      return container;
    }),
  );
}

const VOLUME: YamlType<Volume> = record({
  name: required(
    text({
      matches: /^[a-z0-9_-]+$/,
      problem: (name) => `"${name}" is not a name for a volume`,
      fix: 'use a-z, 0-9, "_" and "-"',
    }).transform((name, at) => ({ name, at })),
    'unique name',
  ),
  image: optional(IMAGE, 'initial contents'),
  readonly: omitEmpty(boolean, 'read-only'),
  format: optional(
    choice('filesystem', 'oci'),
    'files of the image, or the image as an OCI layout',
  ),
  platforms: omitEmpty(
    list(text().transform((platform, at) => located(at, () => parsePlatform(platform)))),
    'for format oci: platforms of the image to include',
  ),
}).transform(
  ({ name, image, readonly: isReadonly, format = 'filesystem', platforms = [] }, item) => {
    if (platforms.length > 0 && format !== 'oci')
      throw item.error('platforms apply only to a volume of format oci', {
        fix: 'remove "platforms", or set "format: oci"',
      });
    return {
      ...name,
      ...(image === undefined ? {} : { image }),
      readonly: isReadonly ?? false,
      format,
      platforms,
      item,
    };
  },
);

const INCLUDE: YamlType<readonly Include[]> = list(text().transform((path, at) => ({ path, at })));

const VARIABLES: YamlType<ReadonlyMap<string, string | undefined>> = mapping(
  either(
    anything({ type: 'null' }).transform(() => undefined),
    (value) => value.isNull(),
    scalar,
  ),
).transform((variables, value) => {
  for (const [name, item] of value.entries())
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw item.error(`"${name}" is not a name for a variable`, {
        fix: 'use letters, digits and "_"',
      });
  return variables;
});

/** The fields of a config that are read before the rest. */
export interface ConfigHead {
  /** Configs to merge before this one. */
  readonly include: readonly Include[];
  /** Declared variables with their default values; undefined without `variables`. */
  readonly variables: ReadonlyMap<string, string | undefined> | undefined;
}

export interface Include {
  readonly path: string;
  readonly at: YamlValue;
}

/** @throws LktError CONFIG_INVALID */
export function readHead(document: YamlValue): ConfigHead {
  const { include, variables } = Object.fromEntries(document.entries());
  return {
    include: include === undefined || include.isNull() ? [] : INCLUDE.read(include),
    variables:
      variables === undefined || variables.isNull() ? undefined : VARIABLES.read(variables),
  };
}

const CONFIG: YamlType<SystemConfig> = record({
  include: optional(INCLUDE, 'configs to merge before this one; relative to it'),
  variables: optional(
    VARIABLES,
    'default values of ${NAME} in this file; --set NAME=VALUE overrides them',
  ),
  kernel: withDefault(KERNEL, {}, 'the kernel, its command line and modules'),
  init: withDefault(list(IMAGE), [], 'images that make up the root file system'),
  onboot: withDefault(containers('onboot'), [], 'containers that run in order before services'),
  onshutdown: withDefault(containers('onshutdown'), [], 'containers that run in order at shutdown'),
  services: withDefault(
    containers('services'),
    [],
    'containers that run concurrently after onboot',
  ),
  volumes: withDefault(list(VOLUME), [], 'file systems shared by containers'),
  files: withDefault(FILES, [], 'files, directories and links to add'),
  layout: optional(
    LAYOUT,
    'layout of an initrd: cpio, an archive per image; solid, a single archive; erofs, mounted file systems',
  ),
  tests: withDefault(TESTS, [], 'checks of lkt test; they do not change the image'),
  trust: optional(TRUST, 'required signatures'),
}).transform(({ include: _include, variables: _variables, layout, trust, ...config }) =>
  checkNames({
    ...config,
    ...(layout === undefined ? {} : { layout }),
    trust: trust === undefined ? [] : [trust],
  }),
);

/**
 * Reads one document, without its includes.
 * @throws LktError CONFIG_INVALID, REFERENCE_INVALID with line and column
 */
export function readConfig(document: YamlValue): SystemConfig {
  return CONFIG.read(document);
}
/** Returns the JSON schema of an image config, as strict as a schema can be. */
export function imageConfigSchema(): JsonSchema {
  const writer = new SchemaWriter({ hasVariables: true });
  return writer.document('image.yml', 'An image of lkt or LinuxKit', CONFIG.schema(writer));
}

/**
 * Merges configs. Later files override kernel fields and the layout, and append to lists and trust
 * policies.
 */
export function mergeConfigs(configs: readonly SystemConfig[]): SystemConfig {
  const layout = configs.findLast((config) => config.layout !== undefined)?.layout;
  return checkNames({
    kernel: Object.assign({}, ...configs.map((config) => config.kernel)) as KernelSettings,
    init: configs.flatMap((config) => config.init),
    onboot: configs.flatMap((config) => config.onboot),
    onshutdown: configs.flatMap((config) => config.onshutdown),
    services: configs.flatMap((config) => config.services),
    volumes: configs.flatMap((config) => config.volumes),
    files: configs.flatMap((config) => config.files),
    tests: mergeTests(configs.map((config) => config.tests)),
    trust: configs.flatMap((config) => config.trust),
    layout,
  });
}

/** Returns every image that a config names, in the order of the tree. */
export function imageReferencesOf(config: SystemConfig): readonly ImageReference[] {
  return [
    config.kernel.image,
    ...config.init,
    ...[...config.volumes, ...config.onboot, ...config.onshutdown, ...config.services].map(
      ({ image }) => image,
    ),
    config.bootLoader,
  ].filter((image) => image !== undefined);
}

/** Returns the config with every image reference mapped. */
export function mapReferences(
  config: SystemConfig,
  change: (reference: ImageReference) => ImageReference,
): SystemConfig {
  const changed = <T extends { readonly image?: ImageReference }>(entry: T): T =>
    entry.image === undefined ? entry : { ...entry, image: change(entry.image) };
  return {
    ...config,
    kernel: changed(config.kernel),
    init: config.init.map(change),
    onboot: config.onboot.map(changed),
    onshutdown: config.onshutdown.map(changed),
    services: config.services.map(changed),
    volumes: config.volumes.map(changed),
    ...(config.bootLoader === undefined ? {} : { bootLoader: change(config.bootLoader) }),
  };
}

/** Returns the config as plain data in the order of LinuxKit's structs, with full image names. */
export function plainConfig(config: SystemConfig): Readonly<Record<string, unknown>> {
  const { image, cmdline, binary, tar, ucode } = config.kernel;
  return {
    kernel: { image: image?.full ?? '', cmdline, binary, tar, ucode },
    init: config.init.map(({ full }) => full),
    onboot: config.onboot.map(plainContainer),
    onshutdown: config.onshutdown.map(plainContainer),
    services: config.services.map(plainContainer),
    files: config.files.map(({ at }) => plainFile(at)),
    volumes: config.volumes.map((volume) => withImage(VOLUME.plain(volume.item), volume.image)),
    layout: config.layout?.kind,
  };
}

function plainContainer({ item, image }: Container): unknown {
  return withImage(CONTAINER.plain(item), image);
}

function withImage(plain: unknown, image: ImageReference | undefined): unknown {
  return image === undefined ? plain : { ...(plain as object), image: image.full };
}

/**
 * Returns the numeric ids that container names stand for: from 100 in the order onboot, onshutdown,
 * services. The last of two equal names wins.
 */
export function containerIds(config: SystemConfig): ReadonlyMap<string, number> {
  const names = [...config.onboot, ...config.onshutdown, ...config.services];
  return new Map(names.map(({ name }, index) => [name, 100 + index]));
}

/**
 * Checks that names of services and volumes are unique. Onboot entries are numbered and may repeat.
 */
function checkNames(config: SystemConfig): SystemConfig {
  for (const [what, named] of [
    ['service', config.services],
    ['volume', config.volumes],
  ] as const) {
    const seen = new Set<string>();
    for (const { name, at } of named) {
      if (seen.has(name)) throw at.error(`there are two ${what}s with the name "${name}"`);
      seen.add(name);
    }
  }
  return config;
}
