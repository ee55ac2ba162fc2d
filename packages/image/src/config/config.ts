import { parseYaml, type SourceFile, type YamlValue } from '@lkt/core';
import { boolean, oneOf, optional, present, required, string, strings } from './fields.ts';
import { type FileEntry, parseFiles } from './files.ts';
import { type ImageReference, parseImageReference } from './reference.ts';
import { parseSettings, SETTING_KEYS, type Settings } from './settings.ts';
import { parseTrust, type TrustSettings } from '../trust/parse-trust.ts';

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
  readonly at: YamlValue;
}

export interface Volume {
  readonly name: string;
  readonly image?: ImageReference;
  readonly readonly: boolean;
  readonly format: 'filesystem' | 'oci';
  readonly platforms: readonly string[];
  readonly at: YamlValue;
}

/** @throws LktError CONFIG_INVALID, REFERENCE_INVALID with line and column */
export function parseConfig(file: SourceFile): SystemConfig {
  const fields = parseYaml(file).fields([
    'kernel',
    'init',
    'onboot',
    'onshutdown',
    'services',
    'volumes',
    'files',
    'trust',
  ]);
  return checkNames({
    kernel: optional(fields.kernel, parseKernel) ?? {},
    init: optional(fields.init, (list) => list.list().map(parseImageReference)) ?? [],
    onboot: optional(fields.onboot, parseContainers) ?? [],
    onshutdown: optional(fields.onshutdown, parseContainers) ?? [],
    services: optional(fields.services, parseContainers) ?? [],
    volumes: optional(fields.volumes, (list) => list.list().map(parseVolume)) ?? [],
    files: optional(fields.files, parseFiles) ?? [],
    trust: optional(fields.trust, (value) => [parseTrust(value)]) ?? [],
  });
}

/** Later files override fields of the kernel and append to the lists of earlier ones; no trust policy goes. */
export function mergeConfigs(configs: readonly SystemConfig[]): SystemConfig {
  return checkNames({
    kernel: Object.assign({}, ...configs.map((config) => config.kernel)) as KernelSettings,
    init: configs.flatMap((config) => config.init),
    onboot: configs.flatMap((config) => config.onboot),
    onshutdown: configs.flatMap((config) => config.onshutdown),
    services: configs.flatMap((config) => config.services),
    volumes: configs.flatMap((config) => config.volumes),
    files: configs.flatMap((config) => config.files),
    trust: configs.flatMap((config) => config.trust),
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
  ].filter((image) => image !== undefined);
}

/**
 * The numeric ids that stand behind the names of containers: 100 and up in the order onboot, onshutdown, services. A
 * name that appears twice keeps the last.
 */
export function containerIds(config: SystemConfig): ReadonlyMap<string, number> {
  const names = [...config.onboot, ...config.onshutdown, ...config.services];
  return new Map(names.map(({ name }, index) => [name, 100 + index]));
}

function parseKernel(value: YamlValue): KernelSettings {
  const fields = value.fields(['image', 'cmdline', 'binary', 'tar', 'ucode']);
  return present({
    image:
      fields.image?.isString() === true && fields.image.string() === ''
        ? undefined
        : optional(fields.image, parseImageReference),
    cmdline: filled(optional(fields.cmdline, string)),
    binary: filled(optional(fields.binary, string)),
    tar: optional(fields.tar, string),
    ucode: optional(fields.ucode, string),
  });
}

function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** containerd's rule for ids (containerd, pkg/identifiers), which also makes a safe directory name. */
const CONTAINER_NAME = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;

function parseContainers(value: YamlValue): readonly Container[] {
  return value.list().map(parseContainer);
}

function parseContainer(item: YamlValue): Container {
  const fields = item.fields(['name', 'image', ...SETTING_KEYS]);
  const at = required(item, fields.name, 'name');
  const name = at.string();
  if (!CONTAINER_NAME.test(name) || name.length > 76) {
    throw at.error(`"${name}" is not a name for a container`, {
      fix: 'use up to 76 letters and digits, with single ".", "_" or "-" between them',
    });
  }
  return {
    name,
    image: parseImageReference(required(item, fields.image, 'image')),
    settings: parseSettings(fields),
    at,
  };
}

function parseVolume(item: YamlValue): Volume {
  const fields = item.fields(['name', 'image', 'readonly', 'format', 'platforms']);
  const at = required(item, fields.name, 'name');
  if (!/^[a-z0-9_-]+$/.test(at.string())) {
    throw at.error(`"${at.string()}" is not a name for a volume`, {
      fix: 'use a-z, 0-9, "_" and "-"',
    });
  }
  return {
    name: at.string(),
    ...present({ image: optional(fields.image, parseImageReference) }),
    readonly: optional(fields.readonly, boolean) ?? false,
    format: optional(fields.format, oneOf('filesystem', 'oci')) ?? 'filesystem',
    platforms: optional(fields.platforms, strings) ?? [],
    at,
  };
}

/** Services run at the same time and volumes are shared, so their names are unique; onboot entries are numbered. */
function checkNames(config: SystemConfig): SystemConfig {
  for (const [what, list] of [
    ['service', config.services],
    ['volume', config.volumes],
  ] as const) {
    const seen = new Set<string>();
    for (const { name, at } of list) {
      if (seen.has(name)) throw at.error(`there are two ${what}s with the name "${name}"`);
      seen.add(name);
    }
  }
  return config;
}
