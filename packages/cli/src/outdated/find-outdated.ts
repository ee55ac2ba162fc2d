import type { ConfigFile, OutdatedReference, TagSource, Unavailable } from '@lkt/image';
import type { Package, Workspace } from '@lkt/pkg';
import { buildTools } from '../session/build-tools.ts';
import type { Session } from '../session/session.ts';
import { type DebianUpdates, debianUpdates, type Updatable } from './debian.ts';
import { type NewerNpm, newerNpm } from './npm.ts';

/** A collection with a newer version. */
interface NewerCollection extends Updatable {
  readonly name: string;
  /** As in lkt.yml, without the commit. */
  readonly source: string;
  readonly from: string;
  readonly to: string;
}

/** Things in a workspace that have newer versions. */
export interface OutdatedReport extends DebianUpdates {
  readonly outdated: readonly (OutdatedReference & Updatable)[];
  readonly collections: readonly NewerCollection[];
  readonly npm: readonly NewerNpm[];
  /** Sources that could not be asked, so that newer versions there are not listed. */
  readonly unavailable: readonly Unavailable[];
}

export interface OutdatedTargets {
  readonly configs: readonly ConfigFile[];
  /** The packages whose Dockerfiles and locks are compared. */
  readonly packages: readonly Package[];
  /** Also compare collections and npm packages. */
  readonly isWhole: boolean;
  readonly set: ReadonlyMap<string, string>;
  /** Undefined: use no network. */
  readonly registries: TagSource | undefined;
}

/**
 * Lists inputs that have newer versions, each with the command that updates it. Builds, pulls and
 * writes nothing. A source that cannot be asked is part of the report.
 */
export async function findOutdated(
  session: Session,
  workspace: Workspace,
  targets: OutdatedTargets,
): Promise<OutdatedReport> {
  const { outdatedReferences } = await import('@lkt/image');
  const { requireLocks } = await import('@lkt/pkg');
  const { registries, isWhole, packages } = targets;
  const found = await outdatedReferences(workspace, targets, registries, { set: targets.set });
  const outdated = found.outdated.map((one) => ({ ...one, update: pinCommand(one) }));
  const unavailable = [...found.unavailable];
  const asked = { outdated, locks: [], kernel: [], collections: [], npm: [], unavailable };
  if (registries === undefined) return asked;
  const ask = await asker(session, unavailable);
  await requireLocks(workspace, packages);
  const archive = await ask("Debian's archive", async () =>
    debianUpdates(workspace, packages, await buildTools(session)),
  );
  const { locks = [], kernel = [] } = archive ?? {};
  if (!isWhole) return { ...asked, locks, kernel };
  const collections: NewerCollection[] = [];
  for (const name of workspace.collections.keys())
    collections.push(
      ...((await ask(`collection ${name}`, async () =>
        newerCollection(session, workspace, name),
      )) ?? []),
    );
  const names = [...workspace.collections.values()].flatMap(({ spec: { source } }) =>
    source.kind === 'npm' ? source.name : [],
  );
  const npm = await ask('npm', async () => newerNpm(session, workspace.root, new Set(names)));
  return { outdated, locks, kernel, collections, npm: npm ?? [], unavailable };
}

type Ask = <T>(source: string, query: () => Promise<T>) => Promise<T | undefined>;

/** Returns a function that queries a source, and records those that fail. */
async function asker({ signal }: Session, unavailable: Unavailable[]): Promise<Ask> {
  const { unavailableReason } = await import('@lkt/image');
  return async (source, query) => {
    try {
      return await query();
    } catch (error) {
      signal.throwIfAborted();
      unavailable.push({ source, reason: unavailableReason(error) });
      return undefined;
    }
  };
}

function pinCommand({ because, target, now }: OutdatedReference): string {
  if (because === 'source') return `lkt pin ${target}`;
  return because === 'digest'
    ? `lkt pin --update ${target}`
    : `write ${now} into the file, and run: lkt pin ${target}`;
}

/** Fetches no files. */
async function newerCollection(
  session: Session,
  workspace: Workspace,
  name: string,
): Promise<readonly NewerCollection[]> {
  const { newSource, shownSource } = await import('../collection/new-source.ts');
  const collection = workspace.collections.get(name);
  if (collection === undefined) return [];
  const newest = await newSource(session, { collection, root: workspace.root, to: undefined });
  if (newest === undefined || newest.from === newest.to) return [];
  const { from, to } = newest;
  const source = shownSource(collection.spec.source);
  return [{ name, source, from, to, update: `lkt collection update ${name}` }];
}
