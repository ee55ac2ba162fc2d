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
import { TRUST, type TrustSettings } from '../trust/parse-trust.ts';

/** An image config: one YAML file, or several merged. `docs/image-yml.md` describes every field. */
export interface SystemConfig {
  readonly kernel: KernelSettings;
  readonly init: readonly ImageReference[];
  readonly onboot: readonly Container[];
  readonly onshutdown: readonly Container[];
  readonly services: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly files: readonly FileEntry[];
  /** Each of them has to be satisfied. */
  readonly trust: readonly TrustSettings[];
  /** Default: cpio. */
  readonly layout?: Layout;
  /** The image with what firmware starts, where the image is a disk; no config names it. */
  readonly bootLoader?: ImageReference;
}

/** `tar` and `ucode` are `none` or empty where the image has no such file or it is not wanted. */
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
  /** Where the name stands. */
  readonly at: YamlValue;
  readonly item: YamlValue;
}

export interface Volume {
  readonly name: string;
  readonly image?: ImageReference;
  readonly readonly: boolean;
  readonly format: 'filesystem' | 'oci';
  readonly platforms: readonly Platform[];
  /** Where the name stands. */
  readonly at: YamlValue;
  readonly item: YamlValue;
}

/** In bytes. Linux for x86 and arm64 keeps no more (COMMAND_LINE_SIZE, with a zero at the end), and drops the rest without a word. */
const MAX_COMMAND_LINE_LENGTH = 2047;

const COMMAND_LINE = text().transform((line, at) => {
  const length = Buffer.byteLength(line);
  if (length > MAX_COMMAND_LINE_LENGTH)
    throw at.error(
      `the command line has ${length} bytes, and Linux keeps ${MAX_COMMAND_LINE_LENGTH} of them`,
      { fix: 'make it shorter: lkt/init sets the sysctls that are in files of /etc/sysctl.d' },
    );
  return line;
});

const KERNEL: YamlType<KernelSettings> = record({
  image: optional(
    text().transform((name, value) => (name === '' ? undefined : IMAGE.read(value))),
    'the image with the kernel',
  ),
  cmdline: omitEmpty(COMMAND_LINE, 'its command line'),
  binary: omitEmpty(text(), 'the file in the image; kernel'),
  tar: optional(text(), 'the archive in the image that is unpacked into the root; kernel.tar'),
  ucode: optional(text(), 'the microcode in the image; none'),
});

/** containerd's rule for ids (containerd, pkg/identifiers), which also makes a safe directory name. */
const CONTAINER_NAME = text({
  matches: /^(?=.{1,76}$)[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/,
  problem: (name) => `"${name}" is not a name for a container`,
  fix: 'use up to 76 letters and digits, with single ".", "_" or "-" between them',
});

const CONTAINER: YamlType<Container> = withSettings({
  name: required(
    CONTAINER_NAME.transform((name, at) => ({ name, at })),
    'its name',
  ),
  image: required(IMAGE, 'what it is made from'),
})
  .transform(({ own: { name, image }, settings }, item) => ({ ...name, image, settings, item }))
  .named('container');

/** The containers of a section, which have no field that means nothing there. */
function containers(section: Section): YamlType<readonly Container[]> {
  return list(
    CONTAINER.transform((container, item) => {
      for (const [key, sections] of Object.entries(SUPERVISION)) {
        if (sections.includes(section)) continue;
        const field = item.entries().get(key);
        if (field !== undefined && !field.isNull())
          throw field.error(`it means nothing in ${section}`, {
            fix: `it is for ${sections.join(' and ')}`,
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
    'its name',
  ),
  image: optional(IMAGE, 'what is in it at the start'),
  readonly: omitEmpty(boolean, 'whether it stays as it is'),
  format: optional(
    choice('filesystem', 'oci'),
    'the files of the image, or the image itself as an OCI layout',
  ),
  platforms: omitEmpty(
    list(text().transform((platform, at) => located(at, () => parsePlatform(platform)))),
    'of format oci: the platforms of the image that it has',
  ),
}).transform(
  ({ name, image, readonly: isReadonly, format = 'filesystem', platforms = [] }, item) => {
    if (platforms.length > 0 && format !== 'oci')
      throw item.error('the files in a volume are for one platform: that of the system', {
        fix: 'leave out "platforms", or say "format: oci"',
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

/** What has to be known of a config before the rest of it can be read. */
export interface ConfigHead {
  /** Configs that come before this one. */
  readonly include: readonly Include[];
  /** The variables that it uses, with the values they have when nothing else says one; undefined without any. */
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
  include: optional(INCLUDE, 'configs that come before this one, relative to it'),
  variables: optional(
    VARIABLES,
    'what ${NAME} stands for in this file, unless --set NAME=VALUE says otherwise',
  ),
  kernel: withDefault(KERNEL, {}, 'the kernel, its command line and modules'),
  init: withDefault(list(IMAGE), [], 'images that make up the root file system'),
  onboot: withDefault(
    containers('onboot'),
    [],
    'containers that run one after the other before services',
  ),
  onshutdown: withDefault(
    containers('onshutdown'),
    [],
    'containers that run one after the other when it is shut off',
  ),
  services: withDefault(
    containers('services'),
    [],
    'containers that run side by side from then on',
  ),
  volumes: withDefault(list(VOLUME), [], 'file systems that containers share'),
  files: withDefault(FILES, [], 'single files, directories and links'),
  layout: optional(
    LAYOUT,
    'how the files are in an initrd: unpacked by the kernel, from an archive for each image or a single one, or in an erofs that is mounted',
  ),
  trust: optional(TRUST, 'whose signatures images need'),
}).transform(({ include: _include, variables: _variables, layout, trust, ...config }) =>
  checkNames({
    ...config,
    ...(layout === undefined ? {} : { layout }),
    trust: trust === undefined ? [] : [trust],
  }),
);

/**
 * One document; what it includes is read elsewhere.
 * @throws LktError CONFIG_INVALID, REFERENCE_INVALID with line and column
 */
export function readConfig(document: YamlValue): SystemConfig {
  return CONFIG.read(document);
}
/** The JSON schema of an image config: what `readConfig` takes, as far as a schema can say it. */
export function imageConfigSchema(): JsonSchema {
  const writer = new SchemaWriter({ hasVariables: true });
  return writer.document('image.yml', 'An image of lkt or LinuxKit', CONFIG.schema(writer));
}

/** Later files override fields of the kernel and the layout, and append to the lists of earlier ones; no trust policy goes. */
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
    trust: configs.flatMap((config) => config.trust),
    layout,
  });
}

/** Every image that a config names, in the order of the tree. */
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

/** The config with every image that it names changed. */
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

/** The config as plain data: what is written, in the order of LinuxKit's structs, with the names of images in full. */
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
 * The numeric ids that stand behind the names of containers: 100 and up in the order onboot, onshutdown, services. A
 * name that appears twice keeps the last.
 */
export function containerIds(config: SystemConfig): ReadonlyMap<string, number> {
  const names = [...config.onboot, ...config.onshutdown, ...config.services];
  return new Map(names.map(({ name }, index) => [name, 100 + index]));
}

/** Services run at the same time and volumes are shared, so their names are unique; onboot entries are numbered. */
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
