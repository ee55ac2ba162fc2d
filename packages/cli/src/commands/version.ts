import packageJson from '../../package.json' with { type: 'json' };
import { LktCommand } from '../command.ts';
import { unsupported } from '../flags/linuxkit.ts';
import { switchFlag } from '../flags/options.ts';
import { processEnvironment, programName } from '../session/environment.ts';

export class Version extends LktCommand {
  static override summary = 'Print the version';
  static override examples = ['<%= config.bin %> version --short'];
  static override flags = {
    short: switchFlag('print only the number'),
  };

  static override linuxkit = {
    commit: unsupported('switch', 'run git rev-parse HEAD in the checkout of lkt'),
  };

  async run(): Promise<{ version: string; node: string }> {
    const { flags } = await this.parse(Version);
    const { version } = packageJson;
    this.log(flags.short ? version : `${programName(processEnvironment())} version ${version}`);
    return { version, node: process.version };
  }
}
