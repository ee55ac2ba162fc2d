import { dirname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import { type ImageReport, verifyImageReport } from '@lkt/image/image-report';
import { familiarReference, formatReference, parseReference, type Reference } from '@lkt/oci';
import type { Workspace } from '@lkt/pkg';
import type { Registry } from '@lkt/registry';
import type { NamedImage, TrustPolicy } from '@lkt/sign';
import type { PullFlags } from '../flags/registry.ts';
import { buildTools, workspaceAt } from '../session/build-tools.ts';
import { readConfigFile } from '../session/config-file.ts';
import { statOf } from '../session/paths.ts';
import { lazyRegistries } from '../session/registries/registries.ts';
import type { Session } from '../session/session.ts';
import { trustOptions } from '../session/trust.ts';
import { rejectPackageName } from './package-name.ts';

interface VerifyFlags extends PullFlags {
  readonly all?: boolean;
  readonly local?: boolean;
  readonly 'build-yml'?: string | undefined;
  readonly org?: string | undefined;
}

/**
 * Verifies targets: a config by its own policies and those of its workspace, a package or an image
 * by those of the current workspace.
 */
export class TargetVerifier {
  readonly #session: Session;
  readonly #flags: VerifyFlags;
  readonly #only: TrustPolicy | undefined;
  readonly #workspaces = new Map<string, Promise<Workspace>>();
  /** All targets share the connections and the trusted root. */
  readonly #open: () => Promise<Registry>;
  readonly #trust: ReturnType<typeof trustOptions>;

  /** @param only policy of the command line, which replaces all others */
  constructor(session: Session, flags: VerifyFlags, only: TrustPolicy | undefined) {
    this.#session = session;
    this.#flags = flags;
    this.#only = only;
    this.#open = lazyRegistries(session, flags);
    this.#trust = trustOptions(session, flags, this.#open);
    this.#trust.catch(() => undefined);
  }

  /**
   * Verifies the images of a target.
   * @throws LktError USAGE_INVALID if no policy covers the target
   */
  async verify(target: string): Promise<readonly ImageReport[]> {
    const { environment, signal } = this.#session;
    const kind = await kindOf(resolve(environment.cwd, target), target);
    if (kind === 'config') return this.#config(target);
    const image = await (kind === 'package' ? this.#package(target) : this.#image(target));
    const options = await this.#trust;
    const policies = this.#only === undefined ? await this.#policiesAt(target) : [this.#only];
    const { located, all } = await this.#inCollection(image, policies);
    if (all.length === 0) throw uncovered(target);
    const evaluation = { signal, readAll: this.#flags.all };
    const report = await verifyImageReport(located, all, options.sources, evaluation);
    return [{ ...report, reference: familiarReference(image) }];
  }

  /**
   * Returns the SBOMs of an image of a target that are signed as its policies require for the
   * image, by the signatures in the store.
   * @throws LktError CONFIG_INVALID, IO_FAILED
   */
  async signedSboms(target: string, image: NamedImage): Promise<readonly unknown[]> {
    const { collectFromStore, signedSboms } = await import('@lkt/sign');
    const store = await this.#session.findStore();
    const collected = store && (await collectFromStore(store, image.digest));
    if (collected === undefined || collected.items.length === 0) return [];
    const { cwd } = this.#session.environment;
    const isConfig = (await kindOf(resolve(cwd, target), target)) === 'config';
    const policies = await (isConfig ? this.policies(target) : this.#policiesAt(target));
    const { located, all } = await this.#inCollection(image, policies);
    return signedSboms(located, all, collected);
  }

  /** Returns the policies for a package directory or an image. */
  async #policiesAt(target: string): Promise<readonly TrustPolicy[]> {
    const { cwd } = this.#session.environment;
    const path = resolve(cwd, target);
    const isPackage = (await kindOf(path, target)) === 'package';
    const { policies } = await this.#trust;
    return (await policies?.(isPackage ? [cwd, dirname(path)] : [cwd])) ?? [];
  }

  /**
   * Returns an image under its name in the registry of its collection, with the collection's policy
   * besides others; other images as they are.
   */
  async #inCollection(
    image: NamedImage,
    all: readonly TrustPolicy[],
  ): Promise<{ readonly located: NamedImage; readonly all: readonly TrustPolicy[] }> {
    if (image.domain !== undefined) return { located: image, all };
    const workspace = await this.#workspace(this.#session.environment.cwd);
    const item = workspace.find(image);
    if (item?.collection === undefined) return { located: image, all };
    const located = { ...workspace.locate(image), digest: image.digest };
    if (this.#only !== undefined) return { located, all };
    const { CollectionPolicies, withCollection } = await import('@lkt/image/collection-policy');
    const { root } = await this.#trust;
    const own = await new CollectionPolicies(workspace, root).of(item);
    return { located, all: withCollection(all, own, located) };
  }

  /**
   * Returns the policies that apply to a config, or without one those of the current workspace.
   * @throws LktError CONFIG_INVALID, IO_FAILED
   */
  async policies(config?: string): Promise<readonly TrustPolicy[]> {
    const trust = await this.#trust;
    if (config === undefined)
      return (await trust.policies?.([this.#session.environment.cwd])) ?? [];
    const { policiesOfConfigs } = await import('@lkt/image/verify-images');
    return policiesOfConfigs([await readConfigFile(config, this.#session)], trust);
  }

  async #config(target: string): Promise<readonly ImageReport[]> {
    const session = this.#session;
    const config = await readConfigFile(target, session);
    const workspace = await this.#workspace(dirname(config.absolute));
    const { policies, root, sources } = await this.#trust;
    // Only identifies images that are built already: trust in the images used to build them is not
    // checked.
    const { requireTrusted: _, ...tools } = await buildTools(session);
    const trust = { policies, root, sources, listAll: this.#flags.all };
    // Loaded on demand: images by name need little of it.
    const { verifyConfigs } = await import('@lkt/image/verify-images');
    const reports = await verifyConfigs(workspace, [config], tools, trust, this.#only);
    if (reports === undefined) throw uncovered(target);
    return reports;
  }

  async #package(dir: string): Promise<NamedImage> {
    const { environment, signal } = this.#session;
    const { committedReference } = await import('@lkt/pkg');
    const workspace = await this.#workspace(environment.cwd);
    const item = await workspace.packageAt(dir);
    const { org } = this.#flags;
    const own = await committedReference(workspace, item, { signal });
    const name = parseReference(await committedReference(workspace, item, { org, signal }));
    // With --org, verifies the package as pushed; without, as built here.
    return org === undefined || this.#isLocal
      ? this.#inStore(parseReference(own), name)
      : this.#inRegistry(name);
  }

  async #image(text: string): Promise<NamedImage> {
    const { digest, ...name } = parseReference(text);
    if (digest !== undefined) return { ...name, digest };
    const tagged = { ...name, tag: name.tag ?? 'latest' };
    // A tag may have moved since it was pulled.
    if (this.#isLocal) return this.#inStore(tagged, tagged);
    if (name.domain === undefined)
      rejectPackageName(
        await this.#workspace(this.#session.environment.cwd),
        name,
        (dir) => `name its directory: lkt verify ${dir}`,
      );
    return this.#inRegistry(tagged);
  }

  /** Reports whether tags are those of the store. */
  get #isLocal(): boolean {
    return this.#flags.local === true || this.#flags.offline === true;
  }

  /** Returns the image that the store has under a name, as an image called `name`. */
  async #inStore(
    { domain, path, tag = 'latest' }: Reference,
    name: Reference,
  ): Promise<NamedImage> {
    const store = await this.#session.findStore();
    const text = formatReference({ domain, path, tag });
    const found = await store?.resolve(text);
    if (found !== undefined) return { ...name, digest: found.digest };
    const shown = familiarReference({ domain, path, tag });
    throw new LktError('NOT_FOUND', `${shown} is not in the store`, {
      fix: 'pull it with lkt cache pull, or build it',
    });
  }

  async #inRegistry(name: Reference): Promise<NamedImage> {
    const registry = await this.#open();
    const { digest } = await registry.resolve(name, this.#session.signal);
    return { ...name, digest };
  }

  async #workspace(dir: string): Promise<Workspace> {
    const known = this.#workspaces.get(dir);
    if (known !== undefined) return known;
    const opened = workspaceAt(this.#session, dir, { buildYml: this.#flags['build-yml'] });
    this.#workspaces.set(dir, opened);
    return opened;
  }
}

/** Returns the kind of a target: an image, unless a file or directory of that name exists. */
async function kindOf(path: string, target: string): Promise<'config' | 'package' | 'image'> {
  if (target === '-') return 'config';
  const found = await statOf(path);
  if (found !== undefined) return found.isDirectory() ? 'package' : 'config';
  return /\.ya?ml$/.test(target) ? 'config' : 'image';
}

function uncovered(target: string): LktError {
  return new LktError('USAGE_INVALID', `no trust policy covers ${target}`, {
    fix: 'give --key, or --identity and --issuer, or --trust; or write a trust.yml',
  });
}
