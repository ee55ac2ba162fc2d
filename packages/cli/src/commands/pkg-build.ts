import { Args, Flags } from '@oclif/core';
import { buildTools, workspaceAt } from '../build-tools.ts';
import { LktCommand } from '../command.ts';
import { packageFlags } from '../package-flags.ts';

interface Built {
  readonly name: string;
  readonly reference: string;
  readonly digest: string;
  readonly cached: boolean;
}

export class PkgBuild extends LktCommand {
  static override summary = 'Build packages, and the packages they use';
  static override description =
    'Prints the reference of each. Nothing is built again whose sources, arguments and bases are as they were.';
  static override args = {
    dir: Args.string({
      description: 'directory of a package, with a build.yml',
      required: true,
      multiple: true,
    }),
  };
  static override flags = {
    ...packageFlags,
    builder: Flags.string({
      summary:
        'have this BuildKit do the steps: tcp://HOST:PORT, unix:///PATH, docker-container://NAME or buildx:NAME',
      helpValue: 'ADDRESS',
    }),
    force: Flags.boolean({
      summary: 'build them again, every step of them; what they use is not',
      aliases: ['no-cache'],
    }),
    platforms: Flags.string({
      summary: 'build for these only',
      helpValue: 'linux/amd64,…',
      delimiter: ',',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<{ packages: readonly Built[] }> {
    const { args, flags } = await this.parse(PkgBuild);
    const session = await this.begin(flags);
    const { buildPackages, pinOf } = await import('@lkt/pkg');
    const { parsePlatform } = await import('@lkt/oci');
    const platforms = flags.platforms?.map(parsePlatform);
    const workspace = await workspaceAt(session, session.environment.cwd, flags['build-yml']);
    const targets = await Promise.all(args.dir.map((dir) => workspace.packageAt(dir)));
    const report = await buildPackages(workspace, targets, {
      ...(await buildTools(session, flags.builder)),
      force: flags.force,
      ...(platforms === undefined ? {} : { platforms }),
    });
    const packages = report.packages.map((built) => ({
      name: built.item.name,
      reference: pinOf(built) ?? `${built.item.name}@${built.index.digest}`,
      digest: built.index.digest,
      cached: built.cached,
      target: targets.includes(built.item),
    }));
    this.endProgress();
    for (const { reference, target } of packages) if (target) this.log(reference);
    return { packages };
  }
}
