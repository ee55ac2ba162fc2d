import { LktError } from '@lkt/core';
import type { LockReport, LockUpdates, Package, Workspace } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { optionalArgs, switchFlag } from '../../flags/options.ts';
import { packageFlags, requireDirsOrAll } from '../../flags/package.ts';
import { lockReportLines, lockUpdateLines } from '../../output/lock-updates.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { lockUpdates } from '../../session/lock-updates.ts';
import type { Session } from '../../session/session.ts';

interface Result {
  readonly locks: readonly (LockReport | LockUpdates)[];
  /** With --update: newer versions that build.yml holds back. */
  readonly left?: readonly LockUpdates[];
}

export class PkgLock extends LktCommand {
  static override summary = 'Resolve and lock the Debian packages of a package';
  static override description = `Verifies the index of the archive, resolves dependencies, and writes debian.lock: name, version, path and sha256 of every .deb.

With --update, prints each package as "from → to", and what build.yml holds back. Then "lkt pin" builds the packages.`;
  static override examples = [
    '<%= config.bin %> pkg lock --all --check',
    '<%= config.bin %> pkg lock --all --update',
  ];
  static override args = {
    dir: optionalArgs('package directory with "debian" in its build.yml'),
  };
  static override flags = {
    ...packageFlags,
    all: switchFlag('lock all packages of the checkout'),
    check: switchFlag('list newer versions, change nothing, and fail if there are any', {
      exclusive: ['update'],
    }),
    update: switchFlag('refresh only the locks with newer versions: all of them, or none'),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(PkgLock);
    const session = await this.begin(flags);
    const { lockedPackages } = await import('@lkt/pkg');
    const dirs = args.dir ?? [];
    requireDirsOrAll(dirs, flags.all);
    const workspace = await workspaceAt(session, session.environment.cwd, {
      buildYml: flags['build-yml'],
    });
    const packages = flags.all
      ? lockedPackages(workspace.all())
      : await Promise.all(dirs.map((dir) => workspace.packageAt(dir)));
    if (flags.check) return this.#check(session, workspace, packages);
    return flags.update
      ? this.#update(session, workspace, packages)
      : this.#lock(session, workspace, packages);
  }

  async #lock(
    session: Session,
    workspace: Workspace,
    packages: readonly Package[],
  ): Promise<Result> {
    const { lockPackage } = await import('@lkt/pkg');
    const tools = await buildTools(session);
    const locks: LockReport[] = [];
    for (const item of packages)
      locks.push(...(await lockPackage(workspace, item, { ...tools, now: new Date() })));
    this.endProgress();
    for (const line of locks.flatMap(lockReportLines)) this.log(line);
    return { locks };
  }

  async #update(
    session: Session,
    workspace: Workspace,
    packages: readonly Package[],
  ): Promise<Result> {
    const { updateLocks } = await import('@lkt/pkg');
    const options = { ...(await buildTools(session)), now: new Date() };
    const { locks, left } = await updateLocks(workspace, packages, options);
    this.endProgress();
    for (const line of locks.flatMap(lockReportLines)) this.log(line);
    if (left.length > 0) this.log('held back by build.yml:');
    for (const line of lockUpdateLines(left)) this.log(line);
    if (locks.length > 0) this.log(this.asCalled('next: lkt pin'));
    return { locks, left };
  }

  async #check(
    session: Session,
    workspace: Workspace,
    packages: readonly Package[],
  ): Promise<Result> {
    const tools = await buildTools(session);
    const locks = await lockUpdates(workspace, packages, { ...tools, rejectsStale: true });
    this.endProgress();
    for (const line of lockUpdateLines(locks)) this.log(line);
    const count = locks.reduce((sum, { updates }) => sum + updates.length, 0);
    if (count === 0) return { locks };
    throw new LktError(
      'OUTDATED',
      `the archive has newer versions of ${count} locked package${count === 1 ? '' : 's'}`,
      {
        fix: 'update the locks: lkt pkg lock --all --update, or all with lkt update',
        report: { locks },
      },
    );
  }
}
