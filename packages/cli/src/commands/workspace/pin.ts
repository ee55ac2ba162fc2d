import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { PinChange } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { optionalArgs, switchFlag } from '../../flags/options.ts';
import { builderFlags } from '../../flags/package.ts';
import { pullFlags } from '../../flags/registry.ts';
import { givenVariables, setFlags } from '../../flags/set.ts';
import { pinLines } from '../../output/pin-lines.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import { isDirectory } from '../../session/paths.ts';
import { openRegistries, tagResolver } from '../../session/registries.ts';

export class Pin extends LktCommand {
  static override summary =
    'Pin packages: write their tags and digests into the files that name them';
  static override description = `Builds packages and their dependencies, and writes "name:HASH@DIGEST" into the Dockerfiles and image configs that name them. An external image gets the digest of its tag in the registry, with --offline in the store; later only --update changes it. A config with a lock file (x.lock.yml of x.yml) stays as it is, and the digests are written there.`;
  static override examples = ['<%= config.bin %> pin --check examples/sshd.yml'];
  static override args = {
    config: optionalArgs(
      'an image config or a package directory; default: all packages and image configs of the workspace',
    ),
  };
  static override flags = {
    ...builderFlags,
    ...pullFlags,
    ...setFlags,
    update: switchFlag('resolve the tags of external images again'),
    check: switchFlag('change nothing, and fail if a pin is stale'),
  };

  async run(): Promise<{ changes: readonly PinChange[] }> {
    const { args, flags } = await this.parse(Pin);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { checkoutConfigs, pin } = await import('@lkt/image');
    const workspace = await workspaceAt(session, cwd);
    const dirs: string[] = [];
    const files: string[] = [];
    // Before anything is read.
    for (const path of args.config ?? [])
      if (path === '-' || /^https?:\/\//i.test(path))
        throw new LktError(
          'USAGE_INVALID',
          `${path} is not a regular file, so no pins can be written into it`,
        );
    for (const path of args.config ?? [])
      ((await isDirectory(resolve(cwd, path))) ? dirs : files).push(path);
    const all = args.config === undefined || args.config.length === 0;
    if (all) files.push(...(await checkoutConfigs(workspace.root, cwd)));
    const targets = {
      packages: all
        ? workspace.all()
        : await Promise.all(dirs.map((dir) => workspace.packageAt(dir))),
      configs: await readConfigFiles(files.toSorted(), session),
      set: givenVariables(flags),
      check: flags.check,
    };
    await using registry = flags.offline ? undefined : await openRegistries(session, flags);
    const resolveTag = tagResolver(session, registry);
    const changes = await pin(
      workspace,
      { ...targets, resolveTag, update: flags.update },
      await buildTools(session, flags),
    );
    this.endProgress();
    for (const line of pinLines(changes)) this.log(line);
    return { changes };
  }
}
