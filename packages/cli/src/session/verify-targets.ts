import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { type ImageReport, verifyConfigs, verifyImageReport } from '@lkt/image';
import { type Descriptor, formatReference, parseReference, type Reference } from '@lkt/oci';
import { committedReferences, type Workspace } from '@lkt/pkg';
import type { NamedImage, TrustPolicy } from '@lkt/sign';
import { buildTools, workspaceAt } from './build-tools.ts';
import { readConfigFile } from './config-file.ts';
import { openRegistries } from './registries.ts';
import type { Session } from './session.ts';
import { trustOptions, type TrustSettings } from './trust.ts';

export interface VerifySettings extends TrustSettings {
  readonly 'build-yml'?: string | undefined;
  readonly org?: string | undefined;
}

/**
 * Verifies targets: a config by its own policies and those of its workspace, a package or an image
 * by those of the current workspace.
 */
export class TargetVerifier {
  readonly #session: Session;
  readonly #flags: VerifySettings;
  readonly #only: TrustPolicy | undefined;
  readonly #workspaces = new Map<string, Promise<Workspace>>();

  /** @param only policy of the command line, which replaces all others */
  constructor(session: Session, flags: VerifySettings, only: TrustPolicy | undefined) {
    this.#session = session;
    this.#flags = flags;
    this.#only = only;
  }

  /**
   * Verifies the images of a target.
   * @throws LktError USAGE_INVALID if no policy covers the target
   */
  async verify(target: string): Promise<readonly ImageReport[]> {
    const kind = await kindOf(resolve(this.#session.environment.cwd, target), target);
    if (kind === 'config') return this.#config(target);
    const image = await (kind === 'package' ? this.#package(target) : this.#image(target));
    const { cwd } = this.#session.environment;
    const options = await trustOptions(this.#session, this.#flags);
    const policies =
      this.#only === undefined
        ? ((await options.policies?.(await this.#workspace(cwd))) ?? [])
        : [this.#only];
    if (policies.length === 0) throw uncovered(target);
    const { sources } = options;
    return [await verifyImageReport(image, policies, sources, this.#session.signal)];
  }

  async #config(target: string): Promise<readonly ImageReport[]> {
    const session = this.#session;
    const config = await readConfigFile(target, session);
    const workspace = await this.#workspace(resolve(config.absolute, '..'));
    const { policies, root, sources } = await trustOptions(session, this.#flags);
    // Only identifies images that are built already: trust in the images used to build them is not
    // checked.
    const { requireTrusted: _, ...tools } = await buildTools(session);
    const trust = { policies, root, sources };
    const reports = await verifyConfigs(workspace, [config], tools, trust, this.#only);
    if (reports === undefined) throw uncovered(target);
    return reports;
  }

  async #package(dir: string): Promise<NamedImage> {
    const { cwd } = this.#session.environment;
    const workspace = await this.#workspace(cwd);
    const item = await workspace.packageAt(dir);
    const { signal } = this.#session;
    const [own = ''] = await committedReferences(workspace, [item], { signal });
    const [there = own] = await committedReferences(workspace, [item], {
      org: this.#flags.org,
      signal,
    });
    const name = parseReference(there);
    const found = (await this.#inStore(parseReference(own))) ?? (await this.#inRegistry(name));
    return { ...name, digest: found.digest };
  }

  async #image(text: string): Promise<NamedImage> {
    const { digest, ...name } = parseReference(text);
    if (digest !== undefined) return { ...name, digest };
    const tagged = { ...name, tag: name.tag ?? 'latest' };
    const found = (await this.#inStore(tagged)) ?? (await this.#inRegistry(tagged));
    return { ...tagged, digest: found.digest };
  }

  async #inStore({ domain, path, tag = 'latest' }: Reference): Promise<Descriptor | undefined> {
    const store = await this.#session.findStore();
    return store?.resolve(formatReference({ domain, path, tag }));
  }

  async #inRegistry(name: Reference): Promise<Descriptor> {
    if (this.#flags.offline === true)
      throw new LktError('NOT_FOUND', `${formatReference(name)} is not in the store`, {
        fix: 'pull it: lkt cache pull',
      });
    await using registry = await openRegistries(this.#session, this.#flags);
    return registry.resolve(name, this.#session.signal);
  }

  async #workspace(dir: string): Promise<Workspace> {
    const known = this.#workspaces.get(dir);
    if (known !== undefined) return known;
    const opened = workspaceAt(this.#session, dir, this.#flags['build-yml']);
    this.#workspaces.set(dir, opened);
    return opened;
  }
}

/** Returns the kind of a target: an image, unless a file or directory of that name exists. */
async function kindOf(path: string, target: string): Promise<'config' | 'package' | 'image'> {
  if (target === '-') return 'config';
  try {
    return (await stat(path)).isDirectory() ? 'package' : 'config';
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    return /\.ya?ml$/.test(target) ? 'config' : 'image';
  }
}

function uncovered(target: string): LktError {
  return new LktError('USAGE_INVALID', `no trust policy covers ${target}`, {
    fix: 'give --key, or --identity and --issuer, or --trust; or write a trust.yml',
  });
}
