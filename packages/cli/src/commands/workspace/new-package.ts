import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LktCommand } from '../../command.ts';
import { choiceFlag, requiredArg, valueFlag } from '../../flags/options.ts';
import { LANGUAGES, packageFiles, TOOLS } from '../../init/package-templates.ts';

interface Result {
  /** `org/image`. */
  readonly package: string;
  readonly directory: string;
  /** Relative to the directory. */
  readonly files: readonly string[];
}

export class NewPackage extends LktCommand {
  static override summary = 'Create a package with a service';
  static override description =
    'Writes build.yml, a Dockerfile and a program that writes a line a minute, with few privileges. The directory is the first of "packages" in lkt.yml, default pkg. Overwrites nothing.';
  static override examples = [
    '<%= config.bin %> new package hello',
    '<%= config.bin %> new package collector --lang c --dir services',
  ];
  static override args = { name: requiredArg('name of the package and of its program') };
  static override flags = {
    dir: valueFlag('DIR', 'parent directory of the package'),
    lang: choiceFlag(LANGUAGES, 'language', { default: 'go' }),
    org: valueFlag('NAME', 'organization; default: "org" in lkt.yml'),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(NewPackage);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { planPackages } = await import('../../init/new-packages.ts');
    const { writeNew } = await import('../../init/write-project.ts');
    const { name } = args;
    const needs = { images: [name], tools: [TOOLS[flags.lang]] };
    const plan = await planPackages(session, name, needs, flags);
    const { workspace, org, statedOrg, tools } = plan;
    const [directory = ''] = plan.directories;
    const files = packageFiles({ name, org: statedOrg, language: flags.lang, tools });
    await writeNew(
      cwd,
      new Map(Object.entries(files).map(([file, text]) => [join(directory, file), text])),
    );
    this.endProgress();
    for (const file of Object.keys(files)) this.log(join(directory, file));
    const [config = 'an image config'] = await this.#configs(workspace.root, cwd);
    const next = this.asCalled(
      `add "- {name: ${name}, image: ${org}/${name}}" to "services" of ${config}, then lkt pin ${existsSync(config) ? config : 'it'}`,
    );
    this.log(`\nnext: ${next}`);
    return {
      package: `${org}/${name}`,
      directory: resolve(cwd, directory),
      files: Object.keys(files),
    };
  }

  async #configs(root: string, cwd: string): Promise<readonly string[]> {
    const { checkoutConfigs } = await import('@lkt/image');
    return checkoutConfigs(root, cwd);
  }
}
