import type { LoginPlace } from '@lkt/registry';
import { LktCommand } from '../../command.ts';
import { requiredArg } from '../../flags/options.ts';

interface Result {
  readonly registry: string;
  /** Where credentials were removed; empty without a login. */
  readonly removed: readonly LoginPlace[];
}

export class Logout extends LktCommand {
  static override summary = 'Remove the login to a registry';
  static override description =
    'Removes the credentials from all files and credential helpers of docker, podman, skopeo and buildah. Credentials of a part of a registry stay.';
  static override examples = ['<%= config.bin %> logout registry.example'];
  static override args = { registry: requiredArg('the registry, such as registry.example:5000') };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Logout);
    const { environment } = await this.begin(flags);
    const { registryName } = await import('../../session/registries/registry-name.ts');
    const { removeLogin } = await import('@lkt/registry');
    const registry = registryName(args.registry);
    const removed = await removeLogin(registry, environment.variables);
    this.endProgress();
    for (const { file, helper } of removed)
      this.log(`removed the login to ${registry} from ${helper ?? file}`);
    if (removed.length === 0) this.log(`not logged in to ${registry}`);
    return { registry, removed };
  }
}
