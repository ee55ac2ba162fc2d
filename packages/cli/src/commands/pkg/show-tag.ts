import { resolve } from 'node:path';
import { LktCommand } from '../../command.ts';
import { linuxkitNamingFlags, noop } from '../../flags/linuxkit.ts';
import { requiredArgs, switchFlag } from '../../flags/options.ts';
import { devFlag, givenName, hashFlags, packageFlags } from '../../flags/package.ts';

export class PkgShowTag extends LktCommand {
  static override summary = 'Print the references of packages, computed from their sources';
  static override description =
    'The tag is the git tree hash of the directory, with "-dirty-" and seven digits if it has uncommitted changes.';
  static override examples = ['<%= config.bin %> pkg show-tag pkg/sshd'];
  static override args = {
    dir: requiredArgs('package directory'),
  };
  static override flags = {
    ...packageFlags,
    ...hashFlags,
    ...devFlag,
    canonical: switchFlag('print the registry too'),
  };

  static override linuxkit = { ...linuxkitNamingFlags, 'registry-creds': noop('value') };

  async run(): Promise<{ tags: readonly string[] }> {
    const { args, flags } = await this.parse(PkgShowTag);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { showTags } = await import('@lkt/pkg/show-tag');
    const { openWorkspace } = await import('@lkt/pkg/workspace');
    const workspace = await openWorkspace(cwd, {
      env: session.environment.variables,
      gitDir: async (url, commit) => {
        const { collectionCheckout } = await import('../../session/collection-checkout.ts');
        return collectionCheckout(session, url, commit);
      },
      buildYml: flags['build-yml'],
      onlyNamed: true,
    });
    const packages = await Promise.all(args.dir.map((dir) => workspace.packageAt(dir)));
    const hashPath = flags['hash-path'];
    const tags = await showTags(workspace, packages, {
      ...givenName(flags, session.environment),
      hashCommit: flags['hash-commit'],
      hashPath: hashPath === undefined ? undefined : resolve(cwd, hashPath),
      forceDirty: flags['force-dirty'],
      canonical: flags.canonical,
      signal: session.signal,
    });
    for (const tag of tags) this.log(tag);
    return { tags };
  }
}
