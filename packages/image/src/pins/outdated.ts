import { LktError, type LktErrorCode } from '@lkt/core';
import { familiarReference, formatReference, parseReference, type Reference } from '@lkt/oci';
import { ownRecipes, type Package, sourceReference, type Workspace } from '@lkt/pkg';
import { imageReferencesOf } from '../config/config.ts';
import { type ConfigFile, loadConfig, type LoadOptions } from '../config/load-config.ts';

/** An image reference with a newer version. */
export interface OutdatedReference {
  readonly file: string;
  readonly line: number;
  readonly reference: string;
  /**
   * `source`: the package has other sources; `digest`: the tag moved; `tag`: there is a later tag.
   */
  readonly because: 'source' | 'digest' | 'tag';
  readonly now: string;
  /** The config or the package directory that `lkt pin` updates. */
  readonly target: string;
}

/** A source of newer versions that cannot be asked. */
export interface Unavailable {
  readonly source: string;
  readonly reason: string;
}

/** Queries to registries. */
export interface TagSource {
  readonly resolve: (reference: Reference) => Promise<string>;
  readonly tags: (repository: Reference) => Promise<readonly string[]>;
}

const UNAVAILABLE: readonly LktErrorCode[] = [
  'ACCESS_DENIED',
  'GIT_FAILED',
  'NETWORK_FAILED',
  'NOT_FOUND',
  'TOOL_MISSING',
];

/**
 * Returns why a source cannot be asked.
 * @throws any error that has another reason
 */
export function unavailableReason(error: unknown): string {
  if (error instanceof LktError && UNAVAILABLE.includes(error.code)) return error.message;
  throw error;
}

/**
 * Returns outdated references in image configs and in the Dockerfiles of packages: packages of the
 * workspace by their sources, external images by their registries. Builds, pulls and writes
 * nothing. A registry that does not answer is asked once.
 * @param registries undefined to skip external images
 */
export async function outdatedReferences(
  workspace: Workspace,
  named: { readonly configs: readonly ConfigFile[]; readonly packages: readonly Package[] },
  registries: TagSource | undefined,
  options: LoadOptions = {},
): Promise<{
  readonly outdated: readonly OutdatedReference[];
  readonly unavailable: readonly Unavailable[];
}> {
  const asked = registries && new AskedRegistries(registries);
  const outdated: OutdatedReference[] = [];
  for (const written of await writtenReferences(workspace, named, options)) {
    const { file, line, target, text: reference } = written;
    const newer =
      written.item === undefined
        ? await asked?.newer(written.parsed)
        : await newerSources(workspace, written, written.item);
    outdated.push(...(newer ?? []).map((one) => ({ file, line, reference, ...one, target })));
  }
  return { outdated, unavailable: asked?.unavailable ?? [] };
}

interface WrittenReference extends Pick<OutdatedReference, 'file' | 'line' | 'target'> {
  readonly text: string;
  readonly parsed: Reference;
  /** The package of the workspace that it names. */
  readonly item: Package | undefined;
  readonly isLocked: boolean;
}

/** Returns the references of Dockerfiles, then those of configs. */
async function writtenReferences(
  workspace: Workspace,
  { configs, packages }: Parameters<typeof outdatedReferences>[1],
  options: LoadOptions,
): Promise<readonly WrittenReference[]> {
  const found: WrittenReference[] = [];
  for (const { item: user, recipe } of await ownRecipes(workspace, packages)) {
    const { path: file } = recipe.dockerfile.file;
    const target = workspace.displayPath(user.dir);
    for (const { text, parsed, package: item, calculated, trigger, position } of recipe.uses) {
      // A trigger is written in the base image, not in this Dockerfile.
      if (calculated || trigger !== undefined) continue;
      found.push({ text, parsed, item, isLocked: false, file, line: position.line, target });
    }
  }
  for (const config of configs) {
    const loaded = await loadConfig([config], options);
    const target = config.path;
    for (const { text, reference: parsed, isLocked = false, at } of imageReferencesOf(
      loaded.config,
    )) {
      if (parsed === undefined) continue;
      const { file, position } = at;
      const place = { file: file.path, line: position.line, target };
      found.push({ text, parsed, item: workspace.find(parsed), isLocked, ...place });
    }
  }
  return found;
}

type Newer = Pick<OutdatedReference, 'because' | 'now'>;

async function newerSources(
  workspace: Workspace,
  { parsed, isLocked }: WrittenReference,
  item: Package,
): Promise<readonly Newer[]> {
  // The lock file has only a digest: nothing says of which sources.
  if (isLocked && parsed.tag === undefined) return [];
  const current = await sourceReference(workspace, item);
  if (current === undefined) return [];
  // A package that overrides one of a collection has another name than the reference.
  const { domain, path } = parsed;
  const now = familiarReference({ domain, path, tag: parseReference(current).tag });
  if (familiarReference(withoutDigest(parsed)) === now) return [];
  return [{ because: 'source', now }];
}

/** Registries, each asked once for a tag, and not again after it did not answer. */
class AskedRegistries {
  readonly #registries: TagSource;
  readonly #newer = new Map<string, readonly Newer[]>();
  readonly #unavailable = new Map<string, string>();

  constructor(registries: TagSource) {
    this.#registries = registries;
  }

  get unavailable(): readonly Unavailable[] {
    return [...this.#unavailable].map(([source, reason]) => ({ source, reason }));
  }

  async newer(reference: Reference): Promise<readonly Newer[]> {
    const { domain, tag } = reference;
    // A name without a registry belongs to the store.
    if (tag === undefined || domain === undefined || this.#unavailable.has(domain)) return [];
    const key = formatReference(reference);
    const name = familiarReference(withoutDigest(reference));
    const known = this.#newer.get(key);
    if (known !== undefined || this.#unavailable.has(name)) return known ?? [];
    try {
      const found = await this.#ask(reference, tag);
      this.#newer.set(key, found);
      return found;
    } catch (error) {
      const reason = unavailableReason(error);
      const isWhole = error instanceof LktError && error.code === 'NETWORK_FAILED';
      this.#unavailable.set(isWhole ? domain : name, reason);
      return [];
    }
  }

  async #ask(reference: Reference, tag: string): Promise<readonly Newer[]> {
    const name = withoutDigest(reference);
    const found: Newer[] = [];
    const digest = await this.#registries.resolve(name);
    if (digest !== reference.digest)
      found.push({ because: 'digest', now: `${familiarReference(name)}@${digest}` });
    const later = laterTag(tag, await this.#registries.tags(name));
    if (later !== undefined)
      found.push({ because: 'tag', now: familiarReference({ ...name, tag: later }) });
    return found;
  }
}

function withoutDigest({ digest: _digest, ...reference }: Reference): Reference {
  return reference;
}

/**
 * Returns the latest tag of the same form: `1.25.3-alpine` may become `1.27.0-alpine`, not `1.27`
 * or `1.27.0`. Ignores tags without numbers.
 */
export function laterTag(tag: string, tags: readonly string[]): string | undefined {
  const form = formOf(tag);
  if (form === undefined) return undefined;
  const later = tags
    .filter((other) => formOf(other) === form && compare(other, tag) > 0)
    .toSorted(compare);
  return later.at(-1);
}

/** Returns a version tag with its numbers replaced; undefined for other tags, such as hashes. */
function formOf(tag: string): string | undefined {
  return /^v?\d{1,9}(?:\.\d{1,9})*(?:-[a-z]+)?$/.test(tag)
    ? tag.replaceAll(/\d+/g, '0')
    : undefined;
}

function compare(a: string, b: string): number {
  const left = a.match(/\d+/g) ?? [];
  const right = b.match(/\d+/g) ?? [];
  for (const [index, text] of left.entries()) {
    const difference = Number(text) - Number(right[index] ?? '0');
    if (difference !== 0) return difference;
  }
  return 0;
}
