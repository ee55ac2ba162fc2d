import { LktCommand } from '../command.ts';
import {
  builderSetting,
  cacheMaxSetting,
  cacheSetting,
  processEnvironment,
  progressSetting,
  trustedRootSetting,
} from '../session/environment.ts';

interface InForce {
  readonly name: string;
  readonly value: string;
  readonly from: string;
}

export class Env extends LktCommand {
  static override summary = 'Print the effective settings and their sources';
  static override description =
    'A command-line option overrides an environment variable, which overrides the default.';
  static override examples = ['<%= config.bin %> env'];

  async run(): Promise<{ settings: readonly InForce[] }> {
    const { flags } = await this.parse(Env);
    const environment = processEnvironment();
    const mirror = environment.variables['LKT_DEBIAN_MIRROR'] ?? '';
    const cache = cacheSetting(flags.cache, environment);
    const max = cacheMaxSetting(environment, cache.value);
    const builders = builderSetting(undefined, environment);
    const addresses = [
      'LKT_FULCIO_URL',
      'LKT_REKOR_URL',
      'LKT_SIGNING_CONFIG',
      'LKT_TSA_URL',
      'LKT_TRUSTED_ROOT',
      'LKT_VULNS_ALPINE',
      'LKT_VULNS_CRATES',
      'LKT_VULNS_DEBIAN',
      'LKT_VULNS_GO',
      'LKT_VULNS_LINUX',
      'LKT_VULNS_NPM',
    ];
    const settings: InForce[] = [
      { name: 'LKT_BUILDER', value: builders.value.join(','), from: builders.from },
      { name: 'LKT_CACHE', ...cache },
      { name: 'LKT_CACHE_MAX', value: max.value, from: max.from },
      { name: 'LKT_PROGRESS', ...progressSetting(flags.progress, environment, process.stderr) },
      { name: 'LKT_TRUSTED_ROOT', ...trustedRootSetting(undefined, environment) },
      mirror === ''
        ? { name: 'LKT_DEBIAN_MIRROR', value: '', from: "this machine's apt configuration" }
        : { name: 'LKT_DEBIAN_MIRROR', value: withoutPassword(mirror), from: 'LKT_DEBIAN_MIRROR' },
      ...addresses.flatMap((name) => {
        const value = withoutPassword(environment.variables[name] ?? '');
        return value === '' ? [] : [{ name, value, from: name }];
      }),
    ];
    for (const { name, value, from } of settings) this.log(`${name}=${value}  # ${from}`);
    return { settings };
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//***@');
}
