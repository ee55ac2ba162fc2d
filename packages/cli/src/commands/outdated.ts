import type { Outdated as Found } from '@lkt/image';
import { LktCommand } from '../command.ts';
import { requiredArgs } from '../flags/options.ts';
import { offlineFlag, registryFlags } from '../flags/registry.ts';
import { givenVariables, setFlags } from '../flags/set.ts';
import { workspaceAt } from '../session/build-tools.ts';
import { readConfigFiles } from '../session/config-file.ts';
import { openRegistries, tagSource } from '../session/registries.ts';

const REASONS = {
  source: 'current sources are',
  digest: 'its tag is now',
  tag: 'newer:',
} as const;

export class Outdated extends LktCommand {
  static override summary = 'List references with newer versions';
  static override description = `Compares packages of the checkout by their sources, and other images with their registries: another image under the tag, or a later tag of the same form. Builds, pulls and writes nothing; update with "lkt pin" and "lkt pin --update".`;
  static override examples = ['<%= config.bin %> outdated examples/sshd.yml'];
  static override args = {
    file: requiredArgs('an image config'),
  };
  static override flags = {
    ...registryFlags,
    ...setFlags,
    ...offlineFlag,
  };

  async run(): Promise<{ outdated: readonly Found[] }> {
    const { args, flags } = await this.parse(Outdated);
    const session = await this.begin(flags);
    const configs = await readConfigFiles(args.file, session);
    const { outdated } = await import('@lkt/image');
    const workspace = await workspaceAt(session, session.environment.cwd);
    await using registry = flags.offline ? undefined : await openRegistries(session, flags);
    const source = tagSource(registry, session.signal);
    const found = await outdated(workspace, configs, source, { set: givenVariables(flags) });
    this.endProgress();
    for (const { file, line, reference, because, now } of found)
      this.log(`${file}:${line}: ${reference}\n  ${REASONS[because]} ${now}`);
    return { outdated: found };
  }
}
