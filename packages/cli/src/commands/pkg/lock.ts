import type { LockReport } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { requiredArgs } from '../../flags/options.ts';
import { packageFlags } from '../../flags/package.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';

export class PkgLock extends LktCommand {
  static override summary = 'Resolve and lock the Debian packages of a package';
  static override description =
    'Reads the index of the archive, verifies its signature, resolves dependencies, and writes debian.lock: name, version, path and sha256 of every .deb. Builds use the lock file until you run this again.';
  static override args = {
    dir: requiredArgs('package directory with "debian" in its build.yml'),
  };
  static override flags = { ...packageFlags };

  async run(): Promise<{ locks: readonly LockReport[] }> {
    const { args, flags } = await this.parse(PkgLock);
    const session = await this.begin(flags);
    const { lockPackage } = await import('@lkt/pkg');
    const workspace = await workspaceAt(session, session.environment.cwd, flags['build-yml']);
    const packages = await Promise.all(args.dir.map((dir) => workspace.packageAt(dir)));
    const tools = await buildTools(session);
    const locks: LockReport[] = [];
    for (const item of packages)
      locks.push(...(await lockPackage(workspace, item, { ...tools, now: new Date() })));
    this.endProgress();
    for (const { file, added, removed, changed, total } of locks) {
      this.log(`${file}: ${total} packages`);
      for (const { name, version } of added) this.log(`  + ${name} ${version}`);
      for (const { name, version } of removed) this.log(`  - ${name} ${version}`);
      for (const { from, to } of changed)
        this.log(`  ~ ${to.name} ${from.version} → ${to.version}`);
    }
    return { locks };
  }
}
