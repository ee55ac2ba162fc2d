import { type CiPlan as Plan, type PlannedPackage } from '@lkt/image';
import { LktCommand } from '../command.ts';
import { Args, Flags } from '../flags/options.ts';
import { givenVariables, setFlags } from '../flags/set.ts';
import { columns } from '../output/columns.ts';
import { workspaceAt } from '../session/build-tools.ts';
import { readConfigFile } from '../session/config-file.ts';

/** A package for one platform, which is what a job of a CI builds on a machine of that kind. */
interface Job {
  readonly name: string;
  readonly dir: string;
  readonly platform: string;
}

interface Result extends Plan {
  /** The waves once more, with an entry for each platform. */
  readonly jobs: readonly (readonly Job[])[];
}

export class CiPlan extends LktCommand {
  static override summary = 'Say what a CI has to build, in waves';
  static override description = `The packages whose sources differ from where the checkout and --base parted, and the packages and image configs that use them. What is in one wave can be built at once, on as many machines as there are; a wave needs what is in those before it. Nothing is built to find out.

--json has "waves" with the platforms of each package, and "jobs", the same with an entry for each platform, for the matrix of a CI; docs/ci has workflows. Configs are FILE, or examples/*.yml without any.`;
  static override examples = [
    '<%= config.bin %> ci plan --base origin/main',
    '<%= config.bin %> ci plan --base origin/main --platforms linux/amd64,linux/arm64 --json',
  ];
  static override args = {
    file: Args.string({ description: 'an image config', multiple: true }),
  };
  static override flags = {
    ...setFlags,
    base: Flags.string({
      summary:
        'the commit to compare with: a branch, a tag, an id; without it, or with one of zeros, everything is in the plan',
      helpValue: 'REF',
    }),
    dirs: Flags.boolean({
      summary: 'print the directories of the packages alone, a line each, what is needed first',
    }),
    platforms: Flags.string({
      summary: 'leave out what is for none of these',
      helpValue: 'linux/amd64,…',
      delimiter: ',',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(CiPlan);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { checkoutConfigs, planForCi } = await import('@lkt/image');
    const { parsePlatform } = await import('@lkt/oci');
    const platforms = flags.platforms?.map(parsePlatform);
    const workspace = await workspaceAt(session, cwd);
    const files = args.file ?? (await checkoutConfigs(workspace.root, cwd));
    const configs = await Promise.all(files.map((file) => readConfigFile(file, session)));
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
