import { LktError } from '@lkt/core';
import type { ConfigChanges } from '@lkt/audit';
import type { SourceUpdate } from '@lkt/pkg';
import type { UpdatedKernel } from '@lkt/image';
import { LktCommand } from '../command.ts';
import { Args, Flags } from '../flags/options.ts';
import { packageFlags } from '../flags/package.ts';
import { buildTools, workspaceAt } from '../session/build-tools.ts';

export class KernelUpdate extends LktCommand {
  static override summary = 'Take the newest source of Linux that the archive serves';
  static override description =
    'Looks for the newest version of the series that build.yml names (6.12 for "linux (= 6.12.107-1)"), writes it there, into debian.lock and into the packages that have its configuration (lkt/linux-config for lkt/linux-source), and shows what they gain and lose by it. A symbol that a fragment asks for and the new version does not know is an error, with its line. Nothing is compiled. Afterwards "lkt pin" builds the kernel.';
  static override examples = [
    '<%= config.bin %> kernel update',
    {
      description: 'Is there anything newer? If so, this exits with 1.',
      command: '<%= config.bin %> kernel update --check',
    },
  ];
  static override args = {
    dir: Args.string({
      description:
        'directory of the package with the source; by default the only one of the checkout',
    }),
  };
  static override flags = {
    ...packageFlags,
    check: Flags.boolean({ summary: 'change nothing; a newer version is an error' }),
  };

  async run(): Promise<UpdatedKernel> {
    const { args, flags } = await this.parse(KernelUpdate);
    const session = await this.begin(flags);
    const { findKernelUpdate, kernelSource, updateKernel } = await import('@lkt/image');
    const open = async (): ReturnType<typeof workspaceAt> =>
      workspaceAt(session, session.environment.cwd, flags['build-yml']);
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
    this.log('next: lkt pin, which builds it');
    return result;
  }

  #show({ file, source, series, from, to, notServed }: SourceUpdate): void {
    for (const version of notServed)
      this.log(`${source} ${version}: the archive lists it, and does not serve it`);
    this.log(
      to === undefined
        ? `${file}: ${source} ${from} is the newest of ${series} that is served`
        : `${file}: ${source} ${from} → ${to}`,
    );
  }

  #showConfig(name: string, changes: ConfigChanges | undefined): void {
    if (changes === undefined) {
      this.log(`${name}: the source of before is gone, so there is nothing to compare with`);
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
  return new LktError('OUTDATED', `there is ${update.source} ${update.to}`, {
    fix: 'take it: lkt kernel update',
    report: update,
  });
}
