import { type CiPlan as Plan, type PlannedPackage } from '@lkt/image';
import { LktCommand } from '../../command.ts';
import { listFlag, optionalArgs, switchFlag, valueFlag } from '../../flags/options.ts';
import { givenVariables, setFlags } from '../../flags/set.ts';
import { columns } from '../../output/lines.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import { readConfigFiles } from '../../session/config-file.ts';

/** One package for one platform: the unit that a CI job builds. */
interface Job {
  readonly name: string;
  readonly dir: string;
  readonly platform: string;
}

interface Result extends Plan {
  /** The waves, with one entry for each package and platform. */
  readonly jobs: readonly (readonly Job[])[];
}

export class CiPlan extends LktCommand {
  static override summary = 'List the packages and images that a CI has to build, in waves';
  static override description = `Lists the packages changed since the merge base with --base, and the packages and image configs that use them, but no packages of collections. A wave needs only the waves before it. Builds nothing.

--json prints "waves", "jobs" with one entry per package and platform, for the matrix of a CI (docs/ci), "images" and "base".`;
  static override examples = [
    '<%= config.bin %> ci plan --base origin/main --platforms linux/amd64,linux/arm64 --json',
  ];
  static override args = {
    config: optionalArgs('an image config; default: those of the workspace'),
  };
  static override flags = {
    ...setFlags,
    base: valueFlag(
      'REF',
      'commit to compare with; without it, or with an id of zeros, plan everything',
    ),
    dirs: switchFlag('print only the package directories, one per line, dependencies first'),
    platforms: listFlag('linux/amd64,…', 'platforms to plan for; default: all', { delimiter: ',' }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(CiPlan);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { checkoutConfigs, planForCi } = await import('@lkt/image');
    const { parsePlatform } = await import('@lkt/oci');
    const platforms = flags.platforms?.map(parsePlatform);
    const workspace = await workspaceAt(session, cwd);
    const files = args.config ?? (await checkoutConfigs(workspace.root, cwd));
    const configs = await readConfigFiles(files, session);
    const plan = await planForCi(workspace, configs, {
      base: flags.base,
      platforms,
      load: { set: givenVariables(flags) },
      signal: session.signal,
    });
    this.endProgress();
    if (flags.dirs) for (const { dir } of plan.waves.flat()) this.log(dir);
    else for (const line of columns(rowsOf(plan))) this.log(line);
    return { ...plan, jobs: plan.waves.map((wave) => wave.flatMap(jobsOf)) };
  }
}

function rowsOf({ waves, images }: Plan): readonly (readonly string[])[] {
  return [
    ...waves.flatMap((wave, index) =>
      wave.map(({ dir, platforms, because }) => [
        `wave ${index}`,
        dir,
        platforms.join(','),
        because.join(', '),
      ]),
    ),
    ...images.map(({ file, because }) => ['image', file, '', because.join(', ')]),
  ];
}

function jobsOf({ name, dir, platforms }: PlannedPackage): readonly Job[] {
  return platforms.map((platform) => ({ name, dir, platform }));
}
