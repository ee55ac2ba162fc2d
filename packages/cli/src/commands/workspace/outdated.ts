import type { Outdated as Found } from '@lkt/image';
import type { LockUpdates, Workspace } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { optionalArgs } from '../../flags/options.ts';
import { offlineFlag, registryFlags } from '../../flags/registry.ts';
import { givenVariables, setFlags } from '../../flags/set.ts';
import { lockUpdateLines } from '../../output/lock-updates.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import { lockUpdates } from '../../session/lock-updates.ts';
import { openRegistries, tagSource } from '../../session/registries.ts';
import type { Session } from '../../session/session.ts';

const REASONS = {
  source: 'current sources are',
  digest: 'its tag is now',
  tag: 'newer:',
} as const;

/** A collection with a newer version. */
interface NewerCollection {
  readonly name: string;
  /** As in lkt.yml, without the commit. */
  readonly source: string;
  readonly from: string;
  readonly to: string;
}

interface Result {
  readonly outdated: readonly Found[];
  readonly locks: readonly LockUpdates[];
  readonly collections: readonly NewerCollection[];
}

export class Outdated extends LktCommand {
  static override summary = 'List references, Debian packages and collections with newer versions';
  static override description = `Compares packages of the checkout by their sources, other images with their registries (another image under the tag, or a later tag of the same form), and lock files with Debian's archive. Without arguments, compares all image configs, lock files and collections of the workspace. Builds, pulls and writes nothing; update with "lkt pin", "lkt pin --update", "lkt update" and "lkt collection update".`;
  static override examples = ['<%= config.bin %> outdated examples/sshd.yml'];
  static override args = {
    config: optionalArgs('an image config'),
  };
  static override flags = {
    ...registryFlags,
    ...setFlags,
    ...offlineFlag,
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Outdated);
    const session = await this.begin(flags);
    const { checkoutConfigs, neededPackages, outdated } = await import('@lkt/image');
    const { lockedPackages } = await import('@lkt/pkg');
    const { cwd } = session.environment;
    const workspace = await workspaceAt(session, cwd);
    const named = args.config ?? [];
    const isAll = named.length === 0;
    const files = isAll ? await checkoutConfigs(workspace.root, cwd) : named;
    const configs = await readConfigFiles(files, session);
    const set = givenVariables(flags);
    await using registry = flags.offline ? undefined : await openRegistries(session, flags);
    const tags = tagSource(registry, session.signal);
    const found = await outdated(workspace, configs, tags, { set });
    const packages = isAll ? workspace.all() : await neededPackages(workspace, configs, { set });
    const locks = flags.offline
      ? []
      : await lockUpdates(session, workspace, lockedPackages(packages));
    const collections = isAll && !flags.offline ? await newerCollections(session, workspace) : [];
    this.endProgress();
    for (const { name, source, from, to } of collections)
      this.log(`lkt.yml: ${name}: ${source} ${from}\n  newer: ${to}`);
    for (const { file, line, reference, because, now } of found)
      this.log(`${file}:${line}: ${reference}\n  ${REASONS[because]} ${now}`);
    for (const line of lockUpdateLines(locks)) this.log(line);
    return { outdated: found, locks, collections };
  }
}

/** Returns the collections with newer versions. Fetches no files. */
async function newerCollections(
  session: Session,
  workspace: Workspace,
): Promise<readonly NewerCollection[]> {
  const { newSource, shownSource } = await import('../../collection/new-source.ts');
  const found: NewerCollection[] = [];
  for (const [name, collection] of workspace.collections) {
    const newest = await newSource(session, { collection, root: workspace.root, to: undefined });
    if (newest === undefined || newest.from === newest.to) continue;
    const source = shownSource(collection.spec.source);
    found.push({ name, source, from: newest.from, to: newest.to });
  }
  return found;
}
