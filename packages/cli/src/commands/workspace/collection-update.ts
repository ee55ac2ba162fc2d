import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LktError, writeFileAtomic } from '@lkt/core';
import type { Workspace } from '@lkt/pkg';
import type { AdvisoryIndex } from '@lkt/vulns';
import { type NewSource, newSource, shownSource } from '../../collection/new-source.ts';
import { updatePins } from '../../collection/update-pins.ts';
import { LktCommand } from '../../command.ts';
import { Args, listFlag, switchFlag, valueFlag } from '../../flags/options.ts';
import { builderFlags } from '../../flags/package.ts';
import { pullFlags } from '../../flags/registry.ts';
import { setFlags } from '../../flags/set.ts';
import {
  collectionLines,
  collectionMarkdown,
  type CollectionSummary,
  type CollectionUpdate,
} from '../../output/collection-report.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import { knownAdvisories } from '../../session/vulnerabilities/vulnerability-databases.ts';

export class UpdateCollection extends LktCommand {
  static override summary = 'Update collections to their newest versions';
  static override description = `Finds the newest version: of an npm package by npm, of a git repository the commit of its default branch. Prints the packages, Debian packages and privileges that change, pins Dockerfiles and image configs, and writes the version into package.json and package-lock.json, or into lkt.yml. If something fails, all files stay as they were.`;
  static override examples = [
    '<%= config.bin %> collection update --dry-run',
    '<%= config.bin %> collection update lkt --to 1.4.0 --markdown summary.md',
  ];
  static override args = {
    name: Args.string({ description: 'a collection in lkt.yml; default: all' }),
  };
  static override flags = {
    ...builderFlags,
    ...pullFlags,
    ...setFlags,
    db: listFlag(
      'PATH',
      'vulnerability database, as for lkt vulns; default: the fetched ones, if any',
    ),
    'dry-run': switchFlag('show the summary, and write nothing'),
    markdown: valueFlag('FILE', 'write the summary as Markdown; - for standard output'),
    to: valueFlag('VERSION', 'version, tag, branch or commit, instead of the newest; needs NAME'),
  };

  async run(): Promise<CollectionSummary> {
    const { args, flags } = await this.parse(UpdateCollection);
    if (flags.markdown === '-' && this.jsonEnabled())
      throw new LktError('USAGE_INVALID', '--json and --markdown - both need standard output', {
        fix: 'write the Markdown into a file',
      });
    if (flags.to !== undefined && args.name === undefined)
      throw new LktError('USAGE_INVALID', '--to needs the name of a collection', {
        fix: 'name it before --to',
      });
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const workspace = await workspaceAt(session, cwd);
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'lkt-collection-'));
    const sources = new Map<string, NewSource | undefined>();
    const dirs = new Map<string, string>();
    for (const [name, collection] of chosen(workspace, args.name)) {
      const source = await newSource(session, { collection, root: workspace.root, to: flags.to });
      sources.set(name, source);
      if (!isNew(source)) continue;
      const dir = join(temporary.path, name);
      await mkdir(dir);
      dirs.set(name, await source.fetch(dir));
    }
    const after =
      dirs.size === 0 ? workspace : await workspaceAt(session, cwd, { collectionDirs: dirs });
    const advisories = await knownAdvisories(session, flags.db ?? []);
    const collections: CollectionUpdate[] = [];
    for (const [name, source] of sources)
      collections.push(await describe(workspace, after, name, source, advisories));
    const pins =
      dirs.size === 0 || flags['dry-run']
        ? []
        : await updatePins(session, after, [...sources.values()].filter(isNew), flags);
    const summary = {
      isDryRun: flags['dry-run'],
      hasAdvisories: advisories !== undefined,
      collections,
      pins,
    };
    this.endProgress();
    if (flags.markdown === '-') this.log(collectionMarkdown(summary).trimEnd());
    else for (const line of collectionLines(summary)) this.log(this.asCalled(line));
    if (flags.markdown !== undefined && flags.markdown !== '-') {
      await writeFileAtomic(resolve(cwd, flags.markdown), collectionMarkdown(summary));
    }
    return summary;
  }
}

/** @throws LktError NOT_FOUND, USAGE_INVALID */
function chosen(workspace: Workspace, name: string | undefined): Workspace['collections'] {
  const { collections } = workspace;
  if (collections.size === 0)
    throw new LktError('NOT_FOUND', 'lkt.yml has no collections', {
      fix: 'add one: collections: {lkt: {source: npm:@lkt/packages}}',
    });
  if (name === undefined) return collections;
  const found = collections.get(name);
  if (found !== undefined) return new Map([[name, found]]);
  throw new LktError('NOT_FOUND', `lkt.yml has no collection ${name}`, {
    fix: `name one of: ${[...collections.keys()].join(', ')}`,
  });
}

/** Reports whether a source has another version than the workspace. */
function isNew(source: NewSource | undefined): source is NewSource {
  return source !== undefined && source.from !== source.to;
}

async function describe(
  before: Workspace,
  after: Workspace,
  name: string,
  source: NewSource | undefined,
  advisories: AdvisoryIndex | undefined,
): Promise<CollectionUpdate> {
  const one = {
    name,
    source: shownSource(before.collections.get(name)?.spec.source),
    from: source?.from,
    to: source?.to,
  };
  if (!isNew(source))
    return { ...one, added: [], removed: [], changed: [], debian: [], privileges: [], policy: [] };
  const { compareCollection } = await import('@lkt/pkg');
  const { describeChanges } = await import('@lkt/image');
  const [old, now] = [await policyOf(before, name), await policyOf(after, name)];
  const { compareValues } = await import('@lkt/inspect');
  const { added, removed, changed, locks } = await compareCollection(before, after, name);
  return {
    ...one,
    added,
    removed,
    changed: changed.map((pair) => pair.after.name),
    debian: await describeChanges(locks, [], undefined, advisories),
    privileges: changed.flatMap((pair) => {
      const changes = compareValues(pair.before.config ?? {}, pair.after.config ?? {});
      return changes.length === 0 ? [] : [{ package: pair.after.name, changes }];
    }),
    policy: [
      ...old.filter((line) => !now.includes(line)).map((line) => `removed: ${line}`),
      ...now.filter((line) => !old.includes(line)).map((line) => `new: ${line}`),
    ],
  };
}

/** Returns who must sign the images of a collection. */
async function policyOf(workspace: Workspace, name: string): Promise<readonly string[]> {
  const { CollectionPolicies, policyLines } = await import('@lkt/image/collection-policy');
  const collection = workspace.collections.get(name);
  if (collection === undefined) return [];
  return policyLines(await new CollectionPolicies(workspace, undefined).policy(collection));
}
