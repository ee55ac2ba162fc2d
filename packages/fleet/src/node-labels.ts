import { type Digest, isDigest } from '@lkt/core';

/** Version of the rules by which `spec` is computed. A change of version replaces no node. */
export const SPEC_VERSION = 1;

/**
 * The record of a node that a controller keeps at the provider: tags of an instance, metadata of a
 * domain, or a file beside a process. A fleet has no other state.
 *
 * Times are milliseconds since 1970. Labels contain no secrets: anyone who may list nodes reads
 * them.
 */
export interface NodeLabels {
  readonly fleet: string;
  readonly group: string;
  /** Hash of the image and the template, 16 hexadecimal digits. */
  readonly spec: string;
  /** {@link SPEC_VERSION} of `spec`. */
  readonly specVersion: number;
  readonly image: Digest;
  /** Hash of the template, 16 hexadecimal digits. */
  readonly template: string;
  /** The image before `image`, to which `lkt fleet rollback` returns. */
  readonly previous?: Digest;
  /** Generation of the lease under which the node was created. */
  readonly generation: number;
  /** How many nodes of this spec failed in this place before; 0 for the first. */
  readonly attempt: number;
  readonly created: number;
  /** Index in a group with volumes; undefined in other groups. */
  readonly slot?: number;
  /** When it was first healthy for the minimum time. */
  readonly ready?: number;
  /** Since when it is being drained. */
  readonly draining?: number;
  /** Taken out of service by the user, and kept. */
  readonly held?: boolean;
  /** When the user asked for its replacement. */
  readonly replace?: number;
  /** The spec that was rolled back, on the nodes that stay. */
  readonly rejected?: string;
}

const PREFIX = 'lkt.';
const HASH = /^[0-9a-f]{16}$/;
/** Names of fleets, groups and nodes: valid as host names, and in the tags of every provider. */
export const NAME: RegExp = /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
/** The most characters of {@link NAME}. */
export const MAX_NAME_CHARS = 40;
const MAX_NUMBER_CHARS = 16;

/** Returns labels as texts: keys begin with `lkt.`, and values have at most 80 characters. */
export function formatLabels(labels: NodeLabels): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(labels).flatMap(([key, value]) =>
      value === undefined || value === false
        ? []
        : [[`${PREFIX}${key}`, String(value as string | number | boolean)]],
    ),
  );
}

/**
 * Parses texts that {@link formatLabels} returned. Ignores keys without the prefix, and unknown
 * ones, which a newer version may have written.
 * @returns undefined if a label is missing or invalid: the node is not one of lkt's, or the
 * provider sends a malformed response
 */
export function parseLabels(texts: Readonly<Record<string, unknown>>): NodeLabels | undefined {
  const text = (key: keyof NodeLabels): string => {
    const value = texts[`${PREFIX}${key}`];
    return typeof value === 'string' ? value : '';
  };
  const number = (key: keyof NodeLabels): number | undefined => {
    const value = text(key);
    return value.length <= MAX_NUMBER_CHARS && /^\d+$/.test(value) ? Number(value) : undefined;
  };
  const [fleet, group, image] = [text('fleet'), text('group'), text('image')];
  const [spec, template, previous] = [text('spec'), text('template'), text('previous')];
  const rejected = text('rejected');
  const [specVersion, generation] = [number('specVersion'), number('generation')];
  const [attempt, created] = [number('attempt'), number('created')];
  if (!NAME.test(fleet) || !NAME.test(group)) return undefined;
  if (!HASH.test(spec) || !HASH.test(template) || !isDigest(image)) return undefined;
  if (specVersion === undefined || generation === undefined) return undefined;
  if (attempt === undefined || created === undefined) return undefined;
  const times = {
    slot: number('slot'),
    ready: number('ready'),
    draining: number('draining'),
    replace: number('replace'),
  };
  const required = { fleet, group, spec, specVersion, image, template };
  return {
    ...required,
    ...(isDigest(previous) ? { previous } : {}),
    generation,
    attempt,
    created,
    ...Object.fromEntries(Object.entries(times).filter(([, value]) => value !== undefined)),
    ...(text('held') === 'true' ? { held: true } : {}),
    ...(HASH.test(rejected) ? { rejected } : {}),
  };
}
