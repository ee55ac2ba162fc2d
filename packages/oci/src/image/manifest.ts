import { type Digest, isDigest, LktError, readJson, withPrefix } from '@lkt/core';
import {
  type Descriptor,
  descriptorFrom,
  fieldsFrom,
  listFrom,
  objectFrom,
  optionalTextFrom,
  stringsFrom,
  textFrom,
} from './descriptor.ts';
import { isIndexType, isManifestType } from './media-type.ts';

/** An image manifest (OCI image-spec, manifest.md). Docker's schema 2 has the same fields. */
export interface ImageManifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image index (OCI image-spec, image-index.md). Docker's manifest list has the same fields. */
export interface ImageIndex {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Parses an image manifest.
 * @throws IMAGE_INVALID
 */
export function parseManifest(bytes: Uint8Array): ImageManifest {
  return parsing('image manifest', bytes, DOCUMENT_FIELDS, (document) => {
    const common = commonFrom(document, isManifestType);
    // Programs could interpret an ambiguous document differently (CVE-2021-41190).
    if ('manifests' in document) throw new Error('it has "manifests", a field of an index');
    return {
      ...common,
      config: descriptorFrom(document['config'], 'config'),
      layers: descriptorsFrom(document['layers'], 'layers'),
    };
  });
}

/**
 * Parses an image index.
 * @throws IMAGE_INVALID
 */
export function parseIndex(bytes: Uint8Array): ImageIndex {
  return parsing('image index', bytes, DOCUMENT_FIELDS, (document) => {
    const common = commonFrom(document, isIndexType);
    if ('layers' in document || 'config' in document)
      throw new Error('it has "layers" or "config", a field of a manifest');
    return { ...common, manifests: descriptorsFrom(document['manifests'], 'manifests') };
  });
}

/**
 * Parses a manifest or index, distinguished by `mediaType`, else by its fields.
 * @throws IMAGE_INVALID
 */
export function parseManifestOrIndex(bytes: Uint8Array): ImageManifest | ImageIndex {
  const saysIndex = parsing('image manifest or index', bytes, DOCUMENT_FIELDS, (document) => {
    const { mediaType } = document;
    return typeof mediaType === 'string' ? isIndexType(mediaType) : 'manifests' in document;
  });
  return saysIndex ? parseIndex(bytes) : parseManifest(bytes);
}

/**
 * Parses a manifest or index of the media type that its descriptor states: programs must not take
 * it for something else.
 * @throws IMAGE_INVALID
 */
export function parseDescribed(bytes: Uint8Array, mediaType: string): ImageManifest | ImageIndex {
  if (!isIndexType(mediaType) && !isManifestType(mediaType))
    throw new LktError('IMAGE_INVALID', `its media type is ${mediaType}, which is not an image`);
  const document = isIndexType(mediaType) ? parseIndex(bytes) : parseManifest(bytes);
  if (document.mediaType !== undefined && document.mediaType !== mediaType)
    throw new LktError('IMAGE_INVALID', `its mediaType is ${document.mediaType}, not ${mediaType}`);
  return document;
}

/**
 * Returns the result of a parser for the blob with this digest, which an error names.
 * @throws IMAGE_INVALID
 */
export function parseBlob<T>(
  digest: Digest,
  bytes: Uint8Array,
  parse: (bytes: Uint8Array) => T,
): T {
  try {
    return parse(bytes);
  } catch (error) {
    throw withPrefix(error, `${digest} is `);
  }
}

/** Reports whether the document is an index. */
export function isIndex(document: ImageManifest | ImageIndex): document is ImageIndex {
  return 'manifests' in document;
}

/** Returns the images of an index, or config and layers of a manifest. */
export function childrenOf(document: ImageManifest | ImageIndex): readonly Descriptor[] {
  return isIndex(document) ? document.manifests : [document.config, ...document.layers];
}

/** An image config (OCI image-spec, config.md). Unknown fields are preserved. */
export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly config?: ContainerConfig;
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly HistoryEntry[];
}

/** Parameters to run a container of the image. The last three are Docker's extensions. */
export interface ContainerConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly ArgsEscaped?: boolean;
  readonly Shell?: readonly string[];
  readonly OnBuild?: readonly string[];
  readonly Healthcheck?: object;
}

/** A step in the history of an image (OCI image-spec, config.md, "history"). */
interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/**
 * Parses an image config.
 * @throws IMAGE_INVALID
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  return parsing('image config', bytes, CONFIG_FIELDS, (document) => {
    const { config, history, ...others } = document;
    const rest = withoutNulls(others);
    const { rootfs, architecture, os, variant, created } = rest;
    for (const [name, value] of Object.entries({ architecture, os }))
      if (typeof value !== 'string') throw new Error(`${name} is missing`);
    optionalTextFrom(variant, 'variant');
    optionalTextFrom(created, 'created');
    const { type, diff_ids: diffIds } = fieldsFrom(rootfs, ROOTFS_FIELDS, 'rootfs');
    if (type !== 'layers') throw new Error('rootfs.type is not "layers"');
    // Go writes an empty list as null.
    const list = listFrom(diffIds ?? [], 'rootfs.diff_ids');
    if (!list.every((item) => typeof item === 'string' && isDigest(item)))
      throw new Error('rootfs.diff_ids contains something other than sha256 and sha512 digests');
    if (history != null) {
      for (const step of listFrom(history, 'history')) fieldsFrom(step, HISTORY_FIELDS, 'history');
    }
    return {
      ...rest,
      rootfs: { type, diff_ids: list },
      ...(config == null ? {} : { config: containerConfigFrom(config) }),
      ...(history == null ? {} : { history }),
    } as unknown as ImageConfig;
  });
}

/** The checks of the fields of `config`. */
const CONTAINER_FIELDS: readonly (readonly [string, (value: unknown, at: string) => unknown])[] = [
  ...['User', 'WorkingDir', 'StopSignal'].map((name) => [name, textFrom] as const),
  ...['Env', 'Entrypoint', 'Cmd', 'Shell', 'OnBuild'].map((name) => [name, textsFrom] as const),
  ...['ExposedPorts', 'Volumes'].map((name) => [name, objectFrom] as const),
  ['Labels', stringsFrom],
];

const CONTAINER_FIELD_NAMES: ReadonlySet<string> = new Set(CONTAINER_FIELDS.map(([name]) => name));
/** Fields of a manifest and of an index. */
const DOCUMENT_FIELDS = fieldNames(
  'schemaVersion mediaType artifactType config layers manifests subject annotations',
);
const CONFIG_FIELDS = fieldNames(
  'created author architecture os os.version os.features variant config rootfs history',
);
const ROOTFS_FIELDS = fieldNames('type diff_ids');
const HISTORY_FIELDS = fieldNames('created created_by author comment empty_layer');

function fieldNames(names: string): ReadonlySet<string> {
  return new Set(names.split(' '));
}

function textsFrom(value: unknown, at: string): void {
  for (const [index, item] of listFrom(value, at).entries()) textFrom(item, `${at}[${index}]`);
}

/** Drops fields that are null: Go writes unset ones so. */
function withoutNulls(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function containerConfigFrom(value: unknown): ContainerConfig {
  const config = withoutNulls(fieldsFrom(value, CONTAINER_FIELD_NAMES, 'config'));
  for (const [name, check] of CONTAINER_FIELDS)
    if (config[name] !== undefined) check(config[name], `config.${name}`);
  return config;
}

function commonFrom(
  document: Record<string, unknown>,
  expected: (mediaType: string) => boolean,
): Omit<ImageManifest, 'config' | 'layers'> {
  const { schemaVersion, mediaType, artifactType, subject, annotations } = document;
  if (schemaVersion !== 2) throw new Error('schemaVersion is not 2');
  if (mediaType !== undefined && (typeof mediaType !== 'string' || !expected(mediaType)))
    throw new Error(`its mediaType is ${JSON.stringify(mediaType)}`);
  return {
    schemaVersion,
    mediaType,
    artifactType: optionalTextFrom(artifactType, 'artifactType'),
    subject: subject == null ? undefined : descriptorFrom(subject, 'subject'),
    annotations: annotations == null ? undefined : stringsFrom(annotations, 'annotations'),
  };
}

function descriptorsFrom(value: unknown, at: string): Descriptor[] {
  return listFrom(value ?? [], at).map((item, index) => descriptorFrom(item, `${at}[${index}]`));
}

function parsing<T>(
  what: string,
  bytes: Uint8Array,
  names: ReadonlySet<string>,
  read: (document: Record<string, unknown>) => T,
): T {
  return readJson(bytes, (value) => read(fieldsFrom(value, names, 'the document')), {
    code: 'IMAGE_INVALID',
    what: `not a valid ${what}`,
    isStrict: true,
  });
}
