import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { ForeignImages, PinChange } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { optionalArgs, switchFlag } from '../../flags/options.ts';
import { builderFlags, packageFlags } from '../../flags/package.ts';
import { pullFlags } from '../../flags/registry.ts';
import { givenVariables, setFlags } from '../../flags/set.ts';
import { pinLines } from '../../output/pin-lines.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import { statOf } from '../../session/paths.ts';
import { trustOptions } from '../../session/trust.ts';
import { openRegistries, tagResolver } from '../../session/registries/registries.ts';
import { warnNothingHere } from '../../targets/nothing-here.ts';

export class Pin extends LktCommand {
  static override summary =
    'Pin images: write their tags and digests into the files that name them';
  static override description = `Builds packages and their dependencies, and writes "name:HASH@DIGEST" into the Dockerfiles and image configs that name them, or into the lock file of a config (x.lock.yml of x.yml). An image of a registry gets the digest of its tag there, with --offline in the store; later only --update changes it.

With --check, lists what would change, as "file:line: from -> to", and exits with 1 if anything would. Builds and writes nothing, and asks registries only with --update. Verifies no signatures: use "lkt verify". "…" is a digest that only a build or a registry supplies. For a package that is not built, only the tag is compared.`;
  static override examples = ['<%= config.bin %> pin', '<%= config.bin %> pin --check'];
  static override args = {
    config: optionalArgs(
      'an image config or a package directory; default: all packages and image configs of the workspace',
    ),
  };
  static override flags = {
    ...packageFlags,
    ...builderFlags,
    ...pullFlags,
    ...setFlags,
    update: switchFlag('resolve the tags of external images again'),
    check: switchFlag('only list what would change, without a build, and fail if anything would'),
  };

  async run(): Promise<{ changes: readonly PinChange[] }> {
    const { args, flags } = await this.parse(Pin);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { checkoutConfigs, checkPins, pin } = await import('@lkt/image');
    const workspace = await workspaceAt(session, cwd, { buildYml: flags['build-yml'] });
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
      ((await isConfig(resolve(cwd, path))) ? files : dirs).push(path);
    const all = args.config === undefined || args.config.length === 0;
    if (all) files.push(...(await checkoutConfigs(workspace.root, cwd)));
    const targets = {
      packages: all
        ? workspace.all()
        : await Promise.all(dirs.map((dir) => workspace.packageAt(dir))),
      configs: await readConfigFiles(files.toSorted(), session),
      set: givenVariables(flags),
      update: flags.update,
    };
    if (all && targets.packages.length + targets.configs.length === 0)
      warnNothingHere(session.reporter);
    const isOffline = flags.offline || (flags.check && !flags.update);
    await using registry = isOffline ? undefined : await openRegistries(session, flags);
    const resolveTag = tagResolver(session, registry, workspace);
    if (flags.check) {
      const { UNKNOWN_DIGEST } = await import('@lkt/pkg');
      const tools = await buildTools(session, { ...flags, offline: true });
      const known = isOffline ? unlessUnknown(resolveTag, UNKNOWN_DIGEST) : resolveTag;
      const changes = await checkPins(workspace, { ...targets, resolveTag: known }, tools);
      this.endProgress();
      for (const { file, line, from, to } of changes)
        this.log(`${file}:${line}: ${from} -> ${to}`.trimEnd());
      if (changes.length > 0) throw stale(changes);
      return { changes };
    }
    const tools = await buildTools(session, flags);
    const changes: PinChange[] = [];
    const onWritten = (change: PinChange): unknown => changes.push(change);
    try {
      const trust = await trustOptions(session, flags);
      await pin(workspace, { ...targets, resolveTag, trust, onWritten }, tools);
    } finally {
      this.endProgress();
      for (const line of pinLines(changes)) this.log(line);
    }
    const [config] = targets.configs;
    if (targets.configs.length === 1 && config !== undefined && /^kernel:/m.test(config.text))
      this.suggest(`lkt run ${config.path}`);
    return { changes };
  }
}

/** Reports whether a path is of a config, instead of a package: one of neither may be missing. */
async function isConfig(path: string): Promise<boolean> {
  const found = await statOf(path);
  return found === undefined ? /\.ya?ml$/.test(path) : !found.isDirectory();
}

/** Answers with an unknown digest for an image that the store lacks. */
function unlessUnknown(
  resolveTag: ForeignImages['resolveTag'],
  unknown: string,
): ForeignImages['resolveTag'] {
  return async (reference) =>
    resolveTag(reference).catch((error: unknown) => {
      if (error instanceof LktError && error.code === 'PIN_MISSING') return unknown;
      throw error;
    });
}

function stale(changes: readonly PinChange[]): LktError {
  const what = changes.length === 1 ? '1 pin is' : `${changes.length} pins are`;
  return new LktError('PIN_STALE', `${what} missing or stale`, {
    fix: 'write them: lkt pin',
    report: { changes },
  });
}
