import { LktCommand } from '../../command.ts';
import { optionalArgs } from '../../flags/options.ts';
import { offlineFlag, registryFlags } from '../../flags/registry.ts';
import { givenVariables, setFlags } from '../../flags/set.ts';
import type { OutdatedReport } from '../../outdated/find-outdated.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import { openRegistries, tagSource } from '../../session/registries/registries.ts';
import { warnNothingHere } from '../../targets/nothing-here.ts';

export class Outdated extends LktCommand {
  static override summary = 'List what has newer versions, each with the command that updates it';
  static override description = `Lists

- references in image configs and Dockerfiles: to packages with other sources, and to images whose tag moved, or that have a later tag of the same form
- locked Debian packages and the kernel in its series, by the archive or its configured mirrors
- collections, and npm packages: lkt itself, and the dependencies of package.json

With configs, lists only their references and what their packages are made of. Builds, pulls and writes nothing. A source that cannot be asked is a warning, with --json in "unavailable"; newer versions are not an error.`;
  static override examples = [
    '<%= config.bin %> outdated',
    '<%= config.bin %> outdated examples/sshd.yml',
  ];
  static override args = {
    config: optionalArgs('an image config; default: the whole workspace'),
  };
  static override flags = {
    ...registryFlags,
    ...setFlags,
    ...offlineFlag,
  };

  async run(): Promise<OutdatedReport> {
    const { args, flags } = await this.parse(Outdated);
    const session = await this.begin(flags);
    const { checkoutConfigs, neededPackages } = await import('@lkt/image');
    const { findOutdated } = await import('../../outdated/find-outdated.ts');
    const { outdatedLines } = await import('../../outdated/lines.ts');
    const { cwd } = session.environment;
    const workspace = await workspaceAt(session, cwd);
    const named = args.config ?? [];
    const isWhole = named.length === 0;
    const files = isWhole ? await checkoutConfigs(workspace.root, cwd) : named;
    const configs = await readConfigFiles(files, session);
    const set = givenVariables(flags);
    const packages = isWhole ? workspace.all() : await neededPackages(workspace, configs, { set });
    // A repository with an lkt.yml may have only dependencies of npm.
    if (workspace.spec === undefined && packages.length + configs.length === 0)
      warnNothingHere(session.reporter);
    await using registry = flags.offline ? undefined : await openRegistries(session, flags);
    const report = await findOutdated(session, workspace, {
      configs,
      packages,
      isWhole,
      set,
      registries: tagSource(registry, session.signal),
    });
    this.endProgress();
    for (const line of outdatedLines(report)) this.log(this.asCalled(line));
    for (const { source, reason } of report.unavailable)
      session.reporter.emit({
        kind: 'warning',
        text: `${source} cannot be asked, so its newer versions are not listed: ${reason}`,
      });
    return report;
  }
}
