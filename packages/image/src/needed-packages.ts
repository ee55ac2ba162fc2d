import { type Package, withDependencies, type Workspace } from '@lkt/pkg';
import { configInputs } from './config-inputs.ts';
import { type ConfigFile, loadConfig, type LoadOptions } from './config/load-config.ts';

/**
 * Returns the packages of the workspace that configs name, and all that these depend on. Builds
 * nothing and checks no pins.
 * @throws LktError the errors of reading configs and packages
 */
export async function neededPackages(
  workspace: Workspace,
  configs: readonly ConfigFile[],
  options: LoadOptions = {},
): Promise<readonly Package[]> {
  const named: Package[] = [];
  for (const config of configs) {
    const { uses } = await configInputs(workspace, await loadConfig([config], options));
    named.push(...uses.map((use) => use.package));
  }
  return withDependencies(workspace, named);
}
