import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { linuxkitNamingFlags, unsupported } from '../../flags/linuxkit.ts';
import { type FlagValues, requiredArg } from '../../flags/options.ts';
import { packageFlags, targetFlags } from '../../flags/package.ts';
import { registryFlags } from '../../flags/registry.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import { isDirectory } from '../../session/paths.ts';
import { openRegistries } from '../../session/registries/registries.ts';
import type { Session } from '../../session/session.ts';
import type { ImageName } from '../../targets/store-image.ts';

interface Result extends ImageName {
  readonly changed: boolean;
}

export class PkgRemoteTag extends LktCommand {
  static override summary = 'Tag an image in a registry';
  static override description =
    'Transfers only the manifest; to another repository also what it lacks.';
  static override examples = [
    '<%= config.bin %> pkg remote-tag registry.example/team/sshd:v1.2 stable --override',
  ];
  static override args = {
    from: requiredArg('package directory, or a reference'),
    to: requiredArg('the new tag, or a reference with tag'),
  };
  static override flags = {
    ...packageFlags,
    ...registryFlags,
    org: targetFlags.org,
    override: targetFlags.override,
    tag: targetFlags.tag,
  };

  static override linuxkit = {
    ...linuxkitNamingFlags,
    dev: unsupported('switch', 'use --org and --tag'),
    hash: unsupported('value', 'use --tag'),
    release: unsupported('value', 'name the tag: lkt pkg remote-tag FROM TAG'),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(PkgRemoteTag);
    const session = await this.begin(flags);
    const { familiarReference, parseReference } = await import('@lkt/oci');
    const text = (await isDirectory(resolve(session.environment.cwd, args.from)))
      ? await referenceOf(session, args.from, flags)
      : args.from;
    const given = parseReference(text);
    const from = given.digest === undefined ? { ...given, tag: given.tag ?? 'latest' } : given;
    const { domain, path } = from;
    const repository = familiarReference({ domain, path });
    const to = parseReference(/[/:@]/.test(args.to) ? args.to : `${repository}:${args.to}`);
    const { digest, tag, ...other } = to;
    if (tag === undefined || digest !== undefined)
      throw new LktError('USAGE_INVALID', `"${args.to}" is not a tag`, {
        fix: 'name the tag, or a repository with tag: registry.example/team/image:TAG',
      });
    await using registry = await openRegistries(session, flags);
    const { signal } = session;
    const descriptor = await registry.resolve(from, signal);
    const isSame = to.domain === domain && to.path === path;
    const target = isSame ? { domain, path, tag } : { ...other, tag };
    if (!isSame) {
      const store = await session.openStore();
      await registry.pullImage(store, { domain, path, digest: descriptor.digest }, { signal });
      await registry.pushImage(
        store,
        descriptor,
        { ...other, digest: descriptor.digest },
        { signal },
      );
    }
    const { changed } = await registry.tagManifest(target, descriptor, {
      replace: flags.override,
      signal,
    });
    this.endProgress();
    const result = { reference: familiarReference(target), digest: descriptor.digest, changed };
    this.log(`${result.reference}@${result.digest}${changed ? '' : ' (unchanged)'}`);
    return result;
  }
}

async function referenceOf(
  session: Session,
  dir: string,
  { org, tag, 'build-yml': buildYml }: FlagValues<typeof PkgRemoteTag.flags>,
): Promise<string> {
  const { committedReference } = await import('@lkt/pkg');
  const workspace = await workspaceAt(session, session.environment.cwd, { buildYml });
  const item = await workspace.packageAt(dir);
  const options = { org, tag, signal: session.signal };
  return committedReference(workspace, item, options);
}
