import {
  anything,
  boolean,
  canonicalJson,
  choice,
  didYouMean,
  type Digest,
  type Fields,
  integer,
  type JsonSchema,
  list,
  mapping,
  optional,
  parseYaml,
  record,
  required,
  SchemaWriter,
  type SourceFile,
  text,
  type Values,
  withDefault,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { parseReference, type Reference } from '@lkt/oci';
import { NAME } from '../node-labels.ts';
import { resolveProgram } from '../program.ts';
import type { ImageSettings } from '../image/kept-images.ts';
import type { EngineKind } from '../engine/engine.ts';
import type { ProviderDirs, ProviderKind } from '../provider.ts';
import { PROVIDER_KINDS } from '../providers/kinds.ts';
import { groupSettingsOf } from './group-settings.ts';
import { ATTEST } from './attest.ts';
import { HEALTH } from './health.ts';
import { day, duration, endpoint, fraction, port, share, size, timeOfDay, zone } from './values.ts';

/** Name of the file, and its name in messages. */
export const FLEET_FILE = 'fleet.yml';

const MEBIBYTE = 1024 * 1024;

const ROLL = record({
  surge: optional(share, 'nodes beyond the size during a roll; default: 1, or 0 with fixed names'),
  unavailable: optional(share, 'nodes that may be missing during a roll; default: 0 with surge'),
  startupTimeout: withDefault(
    duration,
    600_000,
    'time after which a node that is not ready failed',
  ),
  minReady: withDefault(duration, 0, 'time for which a node is healthy before it is ready'),
  retries: withDefault(integer(0, 100), 1, 'attempts after a failed node before the roll halts'),
  canary: optional(
    record({
      nodes: withDefault(integer(1, 1000), 1, 'nodes that get a new image first'),
      bake: withDefault(duration, 900_000, 'time for which they are ready before the roll goes on'),
    }),
    'nodes that get a new image first',
  ),
  rollback: withDefault(
    choice('off', 'auto'),
    'off',
    'auto: return to the earlier image when the roll halts',
  ),
  paused: withDefault(boolean, false, 'replace no node for its image, template or age'),
});

const WINDOW = record({
  days: required(list(day, { isFilled: true }), 'days on which it begins: [Mon, Tue]'),
  from: required(timeOfDay, 'when it begins: "22:00"'),
  to: required(timeOfDay, 'when it ends; at or before "from": on the next day'),
  zone: withDefault(zone, 'UTC', 'time zone'),
});

const DRAIN = record({
  http: optional(endpoint, 'a page to which a POST begins the drain'),
  command: optional(
    list(text(), { isFilled: true }),
    'a program that returns once no client uses the node (LKT_NODE, LKT_GROUP, LKT_ADDRESS, LKT_ENDPOINTS)',
  ),
  timeout: withDefault(duration, 60_000, 'time after which the node is destroyed all the same'),
}).transform((drain, at) => {
  if ((drain.http === undefined) === (drain.command === undefined))
    throw at.error('give either http or command', {
      fix: "write http: ':PORT/PATH', or command: [PROGRAM]",
    });
  return drain;
});

const TEMPLATE = record({
  cpus: withDefault(integer(1, 512), 1, 'processors'),
  memory: withDefault(
    size.transform((bytes, at) => {
      if (bytes % MEBIBYTE === 0) return bytes;
      const whole = Math.ceil(bytes / MEBIBYTE);
      throw at.error('memory is a whole number of MiB', { fix: `write ${whole}M` });
    }),
    512 * MEBIBYTE,
    'memory',
  ),
  publish: withDefault(list(port), [], 'TCP ports of the guest that clients reach'),
  volumes: withDefault(
    mapping(size).transform((volumes, at) => {
      for (const [name, place] of at.entries()) requireName(name, place);
      return volumes;
    }),
    new Map(),
    'disks that outlive the node, with their sizes, in the order in which the guest sees them',
  ),
  metadata: optional(
    anything({ type: 'object' }).transform((metadata, at) => {
      if (at.isMap()) return metadata;
      throw at.error('metadata is a mapping', {
        fix: 'write { NAME: { content: TEXT } }: the guest gets the file /run/config/NAME',
      });
    }),
    'metadata for the guest (docs/image-yml.md); ${NODE}, ${GROUP} and ${SLOT} are replaced',
  ),
});

const IMAGE: YamlType<GroupImage | ConfigImage> = text().transform((given, at) => {
  if (/^\.{1,2}\/.*\.ya?ml$/.test(given)) return { config: given, at };
  const fix = 'write NAME@sha256:…, which lkt fleet image prints, or ./CONFIG.yml';
  let reference: Reference;
  try {
    reference = parseReference(given);
  } catch (cause) {
    throw at.error(`"${given}" is not the name of an image`, { cause, fix });
  }
  const { digest } = reference;
  if (digest === undefined) throw at.error(`the image "${given}" has no digest`, { fix });
  return { reference, digest, text: given, at };
});

/** An image by its digest, with its place in the file. */
export interface GroupImage {
  readonly reference: Reference;
  readonly digest: Digest;
  readonly text: string;
  readonly at: YamlValue;
  /** The config that it was built from, by lkt itself. */
  readonly config?: string;
}

/** A config of an image, which is built before the fleet is read. */
interface ConfigImage {
  /** Relative to the directory of the file. */
  readonly config: string;
  readonly at: YamlValue;
}

const GROUP = record({
  provider: required(text(), 'name of a provider of this file'),
  image: required(
    IMAGE,
    'image: NAME@sha256:…, or an image config that lkt builds: ./CONFIG.yml',
    'add: image: NAME@sha256:…',
  ),
  size: optional(integer(0, 100_000), 'number of nodes'),
  nodes: optional(list(text(), { isFilled: true }), 'names of the nodes, instead of size'),
  template: optional(TEMPLATE, 'the machines'),
  health: optional(HEALTH, 'how a node is found healthy'),
  attest: optional(ATTEST, 'how a node proves that it runs its image'),
  roll: optional(ROLL, 'how nodes are replaced'),
  expire: optional(
    record({
      after: required(duration, 'age at which a node is replaced: 30d'),
      jitter: withDefault(fraction, 0.1, 'part of the time by which nodes are replaced earlier'),
    }),
    'maximum age of a node',
  ),
  windows: withDefault(
    list(WINDOW),
    [],
    'when nodes are replaced for their image, template or age; without any, at all times',
  ),
  maxSick: withDefault(
    fraction,
    0.4,
    'part of unhealthy nodes above which the probe is blamed, and none is replaced',
  ),
  drain: optional(DRAIN, 'how clients are led away from a node before it is destroyed'),
  grace: withDefault(duration, 30_000, 'time for the shutdown of the guest'),
  ...(Object.fromEntries(
    PROVIDER_KINDS.flatMap(({ kind, groupSettings }) =>
      groupSettings === undefined
        ? []
        : [[kind, optional(groupSettings, `settings that only ${kind} has`)]],
    ),
  ) as object),
});

const PROVIDER_FIELDS: Fields = Object.fromEntries(
  PROVIDER_KINDS.map(({ kind, about, settings }) => [kind, optional(settings, about)]),
);

const PROVIDER = record(PROVIDER_FIELDS).transform((given, at): ConfiguredProvider => {
  const [found, ...more] = Object.entries(given as Readonly<Record<string, unknown>>);
  const kind = PROVIDER_KINDS.find((one) => one.kind === found?.[0]);
  if (found === undefined || kind === undefined || more.length > 0)
    throw at.error('a provider has exactly one kind', {
      fix: `use one of: ${PROVIDER_KINDS.map((one) => one.kind).join(', ')}`,
    });
  return { kind, settings: found[1], at };
});

/** A provider of the file. */
export interface ConfiguredProvider {
  readonly kind: ProviderKind | EngineKind;
  readonly settings: unknown;
  readonly at: YamlValue;
}

const WEBHOOK = record({
  url: required(
    text({
      matches:
        /^(?:https:\/\/|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])[:/])[\x21-\x7e]{1,2000}$/,
      problem: (given) => `"${given}" is not an https URL`,
      fix: 'write https://HOST/PATH; http only for 127.0.0.1',
    }),
    'https URL',
  ),
  tokenFile: optional(
    text(),
    'file with a token in its first line, sent as "authorization: Bearer TOKEN"',
  ),
});

const FIELDS = {
  version: required(choice('1'), 'version of the format: "1"', 'add: version: "1"'),
  name: required(text(), 'name of the fleet, unique at its providers', 'add: name: NAME'),
  providers: required(mapping(PROVIDER), 'where nodes run'),
  groups: required(mapping(GROUP), 'groups of equal nodes'),
  images: optional(
    record({
      keep: withDefault(integer(0, 1000), 2, 'number of them to keep, the newest first'),
      after: withDefault(duration, 604_800_000, 'age from which they are removed'),
    }),
    'removes images from providers that neither this file nor a machine uses; default: all stay',
  ),
  lease: optional(
    text(),
    'file:PATH, etcds://HOST:PORT or etcd://127.0.0.1:PORT; default: a file in the state of lkt',
  ),
  events: optional(
    record({
      command: optional(
        list(text(), { isFilled: true }),
        'a program that reads an event as a JSON line on its standard input, one run for each',
      ),
      webhook: optional(WEBHOOK, 'a page that gets a POST with each event as JSON'),
    }).transform((events, at) => {
      if (events.command === undefined && events.webhook === undefined)
        throw at.error('give command, webhook or both', {
          fix: 'write command: [PROGRAM], or webhook: { url: https://HOST/PATH }',
        });
      return events;
    }),
    'what hears of every change',
  ),
};

const FLEET = record(FIELDS);

type GroupFields = Values<typeof FIELDS>['groups'] extends ReadonlyMap<string, infer G> ? G : never;

/** A group of the file, with its image. */
export interface GroupConfig extends Omit<GroupFields, 'image'> {
  readonly name: string;
  readonly image: GroupImage;
  readonly at: YamlValue;
  readonly settings?: unknown;
}

/** An image config that groups name. */
export interface FleetImageConfig {
  /** Relative to the directory of the file. */
  readonly path: string;
  /** The first group that uses it. */
  readonly group: string;
  /** A provider of one of the groups boots from disks. */
  readonly needsDisk: boolean;
  /** Where the first group names it. */
  readonly at: YamlValue;
}

/** Receivers of every change. */
export interface EventSettings {
  readonly command?: readonly string[];
  readonly webhook?: { readonly url: string; readonly tokenFile?: string };
}

/** A fleet as its file describes it. */
export interface FleetConfig {
  readonly file: SourceFile;
  /** The whole file. */
  readonly at: YamlValue;
  readonly name: string;
  readonly providers: ReadonlyMap<string, ConfiguredProvider>;
  readonly groups: ReadonlyMap<string, GroupConfig>;
  readonly lease: string | undefined;
  readonly events: EventSettings | undefined;
  /** Undefined: images stay at their providers. */
  readonly images: ImageSettings | undefined;
}

/** Returns the JSON schema of fleet.yml. It accepts every valid file, and some invalid ones. */
export function fleetSchema(): JsonSchema {
  const writer = new SchemaWriter();
  return writer.document('fleet.yml', 'A fleet of machines of lkt images', FLEET.schema(writer));
}

/**
 * Returns the image configs of a fleet.yml, to build them before {@link parseFleet}.
 * @throws CONFIG_INVALID with line and column
 */
export function fleetImageConfigs(file: SourceFile): readonly FleetImageConfig[] {
  const { groups, providers } = FLEET.read(parseYaml(file));
  const found = new Map<string, FleetImageConfig>();
  for (const [group, { image, provider }] of groups) {
    if ('digest' in image) continue;
    const { config: path, at } = image;
    const before = found.get(path);
    const needsDisk = bootsFromDisk(providers.get(provider));
    const first = before ?? { path, group, needsDisk, at };
    found.set(path, { ...first, needsDisk: first.needsDisk || needsDisk });
  }
  return [...found.values()];
}

function bootsFromDisk(provider: ConfiguredProvider | undefined): boolean {
  if (provider === undefined) return false;
  const { kind, settings } = provider;
  if (kind.bootsFromDisk === true) return true;
  return 'needsDisk' in kind && kind.needsDisk?.(settings) === true;
}

/**
 * Parses a fleet.yml.
 * @param built the images of {@link fleetImageConfigs}, by path
 * @param dirs bases of relative and default paths
 * @throws CONFIG_INVALID with line and column
 */
export function parseFleet(
  file: SourceFile,
  built: ReadonlyMap<string, Omit<GroupImage, 'at'>> = new Map(),
  dirs: ProviderDirs = { dir: '/', stateDir: '/state' },
): FleetConfig {
  const value = parseYaml(file);
  const { name, providers, groups, lease, events, images } = FLEET.read(value);
  const places = value.entries();
  const nameAt = places.get('name') ?? value;
  requireName(name, nameAt);
  const groupsAt = (places.get('groups') ?? value).entries();
  const result = new Map<string, GroupConfig>();
  for (const [key, group] of groups) {
    const at = groupsAt.get(key) ?? value;
    requireName(key, at);
    const provider = providers.get(group.provider);
    if (provider === undefined)
      throw (at.entries().get('provider') ?? at).error(`there is no provider "${group.provider}"`, {
        fix: didYouMean(group.provider, [...providers.keys()], 'add it to "providers"'),
      });
    const given = { name: key, provider: group.provider, keys: { ...group } };
    const settings = groupSettingsOf(given, provider, at);
    const { image, drain, attest } = group;
    result.set(key, {
      ...group,
      drain: drain && withProgram(drain, dirs),
      attest: attest && withProgram(attest, dirs),
      image: imageOf(image, built),
      name: key,
      at,
      settings,
    });
  }
  requireProviders(providers, dirs);
  const receivers = events && withProgram(events, dirs);
  return { file, at: value, name, providers, groups: result, lease, events: receivers, images };
}

/** Returns settings whose program, if any, does not depend on the current directory. */
function withProgram<T extends { readonly command?: readonly string[] | undefined }>(
  settings: T,
  { dir }: ProviderDirs,
): T {
  const { command } = settings;
  return command === undefined ? settings : { ...settings, command: resolveProgram(dir, command) };
}

function imageOf(
  image: GroupImage | ConfigImage,
  built: ReadonlyMap<string, Omit<GroupImage, 'at'>>,
): GroupImage {
  if ('digest' in image) return image;
  const { config, at } = image;
  const found = built.get(config);
  if (found === undefined) throw at.error(`the image of ${config} is not built`);
  return { ...found, config, at };
}

const PLACES = 'a directory, host or region';

/** Rejects two providers of the same nodes: each would list those of the other as orphans. */
function requireProviders(providers: FleetConfig['providers'], dirs: ProviderDirs): void {
  const names = new Map<string, string>();
  for (const [name, { at, kind, settings }] of providers) {
    requireName(name, at);
    const given = kind.place === undefined ? at.plain() : kind.place(settings, dirs);
    const place = canonicalJson({ [kind.kind]: given });
    const other = names.get(place);
    if (other !== undefined)
      throw at.error(`the providers ${other} and ${name} have the same nodes`, {
        fix: `use ${other} for the groups of both, or give ${name} another place: ${PLACES}`,
      });
    names.set(place, name);
  }
}

function requireName(name: string, at: YamlValue): void {
  if (NAME.test(name)) return;
  throw at.error(`"${name}" is not a valid name`, {
    fix: 'use up to 40 lower-case letters, digits and "-", and begin with a letter',
  });
}
