import { existsSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { LktError, writeFileAtomic } from '@lkt/core';
import type { ConfigFile, MigratedConfig, MigrationChange, Note } from '@lkt/image';
import type { Workspace } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { warn } from '../../flags/linuxkit.ts';
import { requiredArgs, switchFlag, valueFlag } from '../../flags/options.ts';
import { unifiedDiff } from '../../output/text-diff.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import { isDirectory } from '../../session/paths.ts';
import type { Session } from '../../session/session.ts';

interface MigratedFile {
  readonly file: string;
  readonly changes: readonly MigrationChange[];
  readonly notes: readonly Note[];
}

interface Result {
  readonly files: readonly MigratedFile[];
  /** The lkt.yml that was written, or would be. */
  readonly workspace?: string;
}

/** Note about all packages of lkt. */
const DIFFERENCES =
  "note: roots of lkt's packages are read-only, and only lkt/getty and lkt/sshd have a shell";

/** Keys of which an image config has at least one. */
const CONFIG = /^(?:kernel|init|onboot|onshutdown|services):/m;

export class Migrate extends LktCommand {
  static override summary = "Rewrite LinuxKit's image configs to packages of lkt";
  static override description = `Replaces each package of LinuxKit by that of lkt, removes those that PID 1 or the kernel replaces (docs/linuxkit.md), and writes docker.io in front of other images. All else stays. A directory means all valid configs in and below it.

Prints each change, and notes about what works differently. Writes lkt.yml with the collection lkt if the workspace has none. Then build with "lkt build --pin".`;
  static override examples = [
    '<%= config.bin %> migrate --dry-run linuxkit.yml',
    '<%= config.bin %> migrate examples',
  ];
  static override args = {
    path: requiredArgs('an image config of LinuxKit, or a directory'),
  };
  static override flags = {
    collection: valueFlag('SOURCE', 'source of the collection lkt', {
      default: 'npm:@lkt/packages',
    }),
    'dry-run': switchFlag('print the differences, and write nothing'),
    kernel: valueFlag('IMAGE', "image that replaces LinuxKit's kernel", {
      default: 'lkt/kernel-debian',
    }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Migrate);
    const session = await this.begin(flags);
    const { migrateConfig } = await import('@lkt/image');
    const { given, found } = await configsIn(args.path, session);
    const migrated: (readonly [ConfigFile, MigratedConfig])[] = [];
    const workspaces = new Map<string, Workspace>();
    // All are read before the first is written.
    for (const config of [...given, ...found]) {
      const dir = dirname(config.absolute);
      const workspace = workspaces.get(dir) ?? (await workspaceAt(session, dir));
      workspaces.set(dir, workspace);
      const isPackage = (name: string): boolean => workspace.packages.has(name);
      try {
        migrated.push([config, migrateConfig(config, { kernel: flags.kernel, isPackage })]);
      } catch (error) {
        // Files of other programs, such as Compose, look like configs too.
        if (!found.includes(config) || !isInvalidConfig(error)) throw error;
        warn(session.reporter, [`not a config, so it stays: ${error.message}`]);
      }
    }
    if (migrated.length === 0) throw noConfig(args.path);
    const isDryRun = flags['dry-run'];
    this.endProgress();
    for (const [config, { text, changes, notes }] of migrated) {
      if (changes.length + notes.length === 0) continue;
      if (isDryRun) this.#print(unifiedDiff(config.path, config.text, text));
      else {
        if (text !== config.text) await writeFileAtomic(config.absolute, text);
        this.#print(changes.map((change) => changeLine(config.path, change)));
      }
      this.#print(notes.map((note) => `${config.path}:${note.line}: note: ${note.text}`));
    }
    if (migrated.some(([, { changes }]) => changes.some(({ to }) => to.startsWith('lkt/'))))
      this.#print([DIFFERENCES]);
    const [workspace] = workspaces.values();
    const needed = workspace && neededFile(workspace, session);
    const file = needed?.exists === true ? undefined : needed;
    if (file !== undefined) {
      const text = `collections:\n  lkt:\n    source: ${flags.collection}\n`;
      if (isDryRun) this.#print(unifiedDiff(file.shown, '', text));
      else await writeFileAtomic(file.path, text);
    }
    if (!isDryRun)
      this.#print(nextSteps(migrated, needed, flags.collection).map((line) => this.asCalled(line)));
    return {
      files: migrated.map(([{ path }, { changes, notes }]) => ({ file: path, changes, notes })),
      ...(file && { workspace: file.shown }),
    };
  }

  #print(lines: readonly string[]): void {
    for (const line of lines) this.log(line);
  }
}

function isInvalidConfig(error: unknown): error is LktError {
  return (
    error instanceof LktError &&
    (error.code === 'CONFIG_INVALID' || error.code === 'REFERENCE_INVALID')
  );
}

/** The configs of a command line, and those found in and below its directories. */
interface Configs {
  readonly given: readonly ConfigFile[];
  readonly found: readonly ConfigFile[];
}

async function configsIn(paths: readonly string[], session: Session): Promise<Configs> {
  const { cwd } = session.environment;
  const { isLockPath } = await import('@lkt/image');
  const files: string[] = [];
  const inDirectories: string[] = [];
  for (const path of paths) {
    if (path === '-' || /^https?:\/\//i.test(path))
      throw new LktError('USAGE_INVALID', `${path} is not a regular file`, {
        fix: 'save it to a file',
      });
    if (!(await isDirectory(resolve(cwd, path)))) files.push(path);
    else
      for await (const name of glob('**/*.{yml,yaml}', {
        cwd: resolve(cwd, path),
        exclude: (entry) => /(?:^|\/)(?:node_modules|vendor|\.git)$/.test(entry),
      }))
        inDirectories.push(join(path, name));
  }
  const candidates = await readConfigFiles(inDirectories.toSorted(), session);
  const found = candidates.filter(({ path, text }) => CONFIG.test(text) && !isLockPath(path));
  const given = await readConfigFiles(files, session);
  return { given, found };
}

function noConfig(paths: readonly string[]): LktError {
  return new LktError('NOT_FOUND', `there is no image config in ${paths.join(', ')}`, {
    fix: 'name a directory with configs of LinuxKit, or a config',
  });
}

/** The lkt.yml that must have the collection lkt. */
interface NeededFile {
  readonly path: string;
  readonly shown: string;
  readonly exists: boolean;
}

/** Returns the lkt.yml of a workspace without packages of lkt; undefined if it has them. */
function neededFile(
  workspace: Workspace,
  { environment: { cwd } }: Session,
): NeededFile | undefined {
  if (workspace.packages.has('lkt/init')) return undefined;
  const path = join(workspace.root, 'lkt.yml');
  return { path, shown: relative(cwd, path), exists: existsSync(path) };
}

function changeLine(path: string, { line, from, to, why }: MigrationChange): string {
  return `${path}:${line}: ${from} ${why === undefined ? `is ${to}` : `is removed: ${why}`}`;
}

function nextSteps(
  migrated: readonly (readonly [ConfigFile, MigratedConfig])[],
  needed: NeededFile | undefined,
  collection: string,
): readonly string[] {
  const [first] = migrated.filter(([, { changes }]) => changes.length > 0);
  if (first === undefined) return [];
  const written = `${needed?.shown}: has the collection lkt`;
  const missing = `${needed?.shown}: add collections: {lkt: {source: ${collection}}}`;
  const install =
    needed !== undefined && collection.startsWith('npm:')
      ? `npm install --save-dev ${collection.slice('npm:'.length)} && `
      : '';
  return [
    ...(needed === undefined ? [] : [needed.exists ? missing : written]),
    `next: ${install}lkt build --pin ${first[0].path}`,
  ];
}
