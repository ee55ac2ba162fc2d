import { LktError } from '@lkt/core';
import type { ConfigChanges } from '@lkt/audit';
import type { SourceUpdate } from '@lkt/pkg';
import type { UpdatedKernel } from '@lkt/image';
import { LktCommand } from '../command.ts';
import { Args, switchFlag } from '../flags/options.ts';
import { packageFlags } from '../flags/package.ts';
import { buildTools, workspaceAt } from '../session/build-tools.ts';

export class KernelUpdate extends LktCommand {
  static override summary = 'Update to the newest kernel source that the archive serves';
  static override description =
    'Finds the newest version of the series in build.yml, such as 6.12, writes it to build.yml, debian.lock and the packages with its configuration, and shows how the configuration changes. Then "lkt pin" builds the kernel (docs/kernel.md).';
  static override examples = [
    '<%= config.bin %> kernel update',
    {
      description: 'Check for a newer version; exit with 1 if there is one.',
      command: '<%= config.bin %> kernel update --check',
    },
  ];
  static override args = {
    dir: Args.string({
      description: 'directory of the source package; default: the only one',
    }),
  };
  static override flags = {
    ...packageFlags,
    check: switchFlag('change nothing, and fail if there is a newer version'),
  };

  async run(): Promise<UpdatedKernel> {
    const { args, flags } = await this.parse(KernelUpdate);
    const session = await this.begin(flags);
    const { findKernelUpdate, kernelSource, updateKernel } = await import('@lkt/image');
    const open = async (): ReturnType<typeof workspaceAt> =>
      workspaceAt(session, session.environment.cwd, { buildYml: flags['build-yml'] });
    const workspace = await open();
    const item = await kernelSource(workspace, args.dir);
    const options = { ...(await buildTools(session)), now: new Date() };
    const update = await findKernelUpdate(workspace, item, options);
    if (update.to === undefined || flags.check) {
      this.endProgress();
      this.#show(update);
      if (update.to !== undefined) throw outdated(update);
      return { ...update, configs: [] };
    }
    const result = await updateKernel(workspace, item, update, open, options);
    this.endProgress();
    this.#show(result);
    for (const { name, changes } of result.configs) this.#showConfig(name, changes);
    this.log(this.asCalled('next: build it with lkt pin'));
    return result;
  }

  #show({ file, source, series, from, to, notServed }: SourceUpdate): void {
    for (const version of notServed)
      this.log(`${source} ${version}: listed by the archive, but not served`);
    this.log(
      to === undefined
        ? `${file}: ${source} ${from} is the newest served version of ${series}`
        : `${file}: ${source} ${from} → ${to}`,
    );
  }

  #showConfig(name: string, changes: ConfigChanges | undefined): void {
    if (changes === undefined) {
      this.log(`${name}: the previous source is gone, so there is no comparison`);
      return;
    }
    const { gained, lost, changed, offered } = changes;
    const count = gained.length + lost.length + changed.length;
    this.log(`${name}: ${count} changes, ${offered.length} new questions`);
    for (const { symbol, value } of gained) this.log(`  + CONFIG_${symbol}=${value}`);
    for (const { symbol, value } of lost) this.log(`  - CONFIG_${symbol}=${value}`);
    for (const { symbol, from, to } of changed) this.log(`  ~ CONFIG_${symbol}=${from} → ${to}`);
    for (const symbol of offered) this.log(`  ? CONFIG_${symbol}`);
  }
}

function outdated(update: SourceUpdate): LktError {
  return new LktError('OUTDATED', `${update.source} ${update.to} is available`, {
    fix: 'update to it: lkt kernel update',
    report: update,
  });
}
