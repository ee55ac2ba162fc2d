import { relative, resolve } from 'node:path';
import { LktError, writeFileAtomic } from '@lkt/core';
import type { UpdateReport } from '@lkt/image';
import type { Package, Workspace } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { listFlag, switchFlag, valueFlag } from '../../flags/options.ts';
import { builderFlags, packageSourceFlags } from '../../flags/package.ts';
import { pullFlags } from '../../flags/registry.ts';
import { givenVariables, setFlags } from '../../flags/set.ts';
import {
  type ConfigContainers,
  updateLines,
  updateMarkdown,
  type UpdateSummary,
} from '../../output/update-report.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import { openRegistries, tagSource } from '../../session/registries/registries.ts';
import type { Session } from '../../session/session.ts';
import { runTest } from '../../session/test-command.ts';
import { trustOptions } from '../../session/trust.ts';
import { knownAdvisories } from '../../session/vulnerabilities/vulnerability-databases.ts';

export class Update extends LktCommand {
  static override summary = "Update locks, kernel and pins to Debian's newest packages";
  static override description = `Locks the newest Debian packages, updates the Linux source in its series, builds all that depends on them, and pins it. External images get the current digests of their tags, except with --security.

Prints what changed, what it fixes, and changed privileges. If a build or a test fails, all files are restored (docs/vulns.md).`;
  static override examples = [
    '<%= config.bin %> update --security --dry-run --exclude kernel',
    '<%= config.bin %> update --security --test "npm test" --markdown summary.md',
  ];
  static override flags = {
    ...builderFlags,
    ...packageSourceFlags,
    ...pullFlags,
    ...setFlags,
    db: listFlag(
      'PATH',
      'vulnerability database, as for lkt vulns; default: the fetched ones, if any',
    ),
    'dry-run': switchFlag('show the summary, and write nothing'),
    exclude: listFlag(
      'DIR',
      'directory to skip, with all below it: its locks and kernel source stay',
    ),
    markdown: valueFlag('FILE', 'write the summary as Markdown; - for standard output'),
    security: switchFlag('update only locks with security updates, and the kernel'),
    test: listFlag(
      'COMMAND',
      'shell command to run after the build; if it fails, the update is undone',
    ),
  };

  async run(): Promise<UpdateSummary> {
    const { flags } = await this.parse(Update);
    if (flags.markdown === '-' && this.jsonEnabled())
      throw new LktError('USAGE_INVALID', '--json and --markdown - both need standard output', {
        fix: 'write the Markdown into a file',
      });
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { checkoutConfigs, update } = await import('@lkt/image');
    const reopen = async (): Promise<Workspace> => workspaceAt(session, cwd);
    const workspace = await reopen();
    const isExcluded = exclusion(workspace, flags.exclude ?? [], cwd);
    const files = await checkoutConfigs(workspace.root, cwd);
    await using registry =
      flags.offline || flags.security ? undefined : await openRegistries(session, flags);
    const set = givenVariables(flags);
    const tools = await buildTools(session, flags);
    const report = await update(workspace, {
      ...tools,
      now: new Date(),
      configs: await readConfigFiles(files, session),
      set,
      isSecurityOnly: flags.security,
      isDryRun: flags['dry-run'],
      isExcluded,
      resolveTag: tagSource(registry, session.signal)?.resolve,
      trust: await trustOptions(session, flags),
      advisories: await knownAdvisories(session, flags.db ?? []),
      test: async () => {
        for (const command of flags.test ?? []) await runTest(session, command, workspace.root);
      },
      reopen,
    });
    const summary = { ...report, configs: await containersOf(session, report, set) };
    this.endProgress();
    if (flags.markdown === '-') this.log(updateMarkdown(summary).trimEnd());
    else for (const line of updateLines(summary)) this.log(line);
    if (flags.markdown !== undefined && flags.markdown !== '-')
      await writeFileAtomic(resolve(cwd, flags.markdown), updateMarkdown(summary));
    return summary;
  }
}

/**
 * Returns the test for packages in or below directories.
 * @throws LktError USAGE_INVALID for a directory without packages
 */
function exclusion(
  workspace: Workspace,
  dirs: readonly string[],
  cwd: string,
): (item: Package) => boolean {
  const isBelow = ({ dir }: Package, path: string): boolean =>
    !/^\.\.(?:\/|$)/.test(relative(resolve(cwd, path), dir));
  for (const path of dirs)
    if (!workspace.all().some((item) => isBelow(item, path)))
      throw new LktError('USAGE_INVALID', `no package is in ${path}`, {
        fix: 'name a package directory, or one above packages',
      });
  return (item) => dirs.some((path) => isBelow(item, path));
}

/** Compares the containers of all configs that the update pinned. */
async function containersOf(
  session: Session,
  { configs }: UpdateReport,
  set: ReadonlyMap<string, string>,
): Promise<readonly ConfigContainers[]> {
  const { loadConfig } = await import('@lkt/image');
  const { compareContainers } = await import('@lkt/inspect');
  const { parsePlatform } = await import('@lkt/oci');
  const store = await session.openStore();
  const found: ConfigContainers[] = [];
  for (const { before, after } of configs) {
    const [old, now] = await Promise.all(
      [before, after].map(async (file) => (await loadConfig([file], { set })).config),
    );
    if (old === undefined || now === undefined) continue;
    const platform = parsePlatform('linux/amd64');
    const containers = await compareContainers(old, now, store, platform);
    found.push({ file: after.path, containers });
  }
  return found;
}
