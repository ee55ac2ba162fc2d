import { dirname, join } from 'node:path';
import { LktCommand } from '../../command.ts';
import { requiredArg, valueFlag } from '../../flags/options.ts';
import { configOf, KERNEL_TOOLS, kernelFiles } from '../../init/kernel-template.ts';

interface Result {
  /** The kernel and its configuration: `org/image`. */
  readonly packages: readonly string[];
  /** Relative to the current directory. */
  readonly files: readonly string[];
}

export class NewKernel extends LktCommand {
  static override summary = 'Create a kernel with options of your own';
  static override description = `Writes two packages for x86_64: NAME-config has the configuration, which is checked in a minute; NAME compiles it, in a quarter of an hour of processor time. Both use the sources, tools and fragments of the collection with lkt's kernel. The directory is the first of "packages" in lkt.yml, default pkg. Overwrites nothing.`;
  static override examples = ['<%= config.bin %> new kernel linux'];
  static override args = { name: requiredArg('name of the package with the kernel') };
  static override flags = {
    dir: valueFlag('DIR', 'directory for the directories of both packages'),
    org: valueFlag('NAME', 'organization; default: "org" in lkt.yml'),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(NewKernel);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { planPackages } = await import('../../init/new-packages.ts');
    const { writeNew } = await import('../../init/write-project.ts');
    const { name } = args;
    const images = [configOf(name), name];
    const plan = await planPackages(session, name, { images, tools: KERNEL_TOOLS }, flags);
    const { org, statedOrg, tools } = plan;
    const [config = '', kernel = ''] = plan.directories;
    const files = kernelFiles({ name, org: statedOrg, tools });
    const written = new Map(
      Object.entries(files).map(([file, text]) => [join(dirname(kernel), file), text]),
    );
    await writeNew(cwd, written);
    this.endProgress();
    for (const file of written.keys()) this.log(file);
    const steps = `add them to git, edit ${join(config, 'own.config')}, then lkt pin ${config}`;
    this.log(`\nnext: ${this.asCalled(steps)}`);
    return { packages: images.map((image) => `${org}/${image}`), files: [...written.keys()] };
  }
}
