import type { PinChange, Workspace } from '@lkt/pkg';
import type { BuilderFlags } from '../flags/package.ts';
import type { PullFlags } from '../flags/registry.ts';
import { givenVariables, type SetFlags } from '../flags/set.ts';
import { buildTools } from '../session/build-tools.ts';
import { readConfigFiles } from '../session/config-file.ts';
import { openRegistries, tagResolver } from '../session/registries/registries.ts';
import type { Session } from '../session/session.ts';
import type { NewSource } from './new-source.ts';

/**
 * Pins the packages of a workspace with other collections, and writes the versions of these.
 * Restores the files if something fails.
 * @param workspace with the new versions
 * @param changed the sources of these
 */
export async function updatePins(
  session: Session,
  workspace: Workspace,
  changed: readonly NewSource[],
  flags: BuilderFlags & PullFlags & SetFlags,
): Promise<readonly PinChange[]> {
  const { checkoutConfigs, pin, pinnedFiles, SavedFiles } = await import('@lkt/image');
  const { cwd } = session.environment;
  const files = await checkoutConfigs(workspace.root, cwd);
  const targets = {
    packages: workspace.all(),
    configs: await readConfigFiles(files.toSorted(), session),
    set: givenVariables(flags),
  };
  const saved = await SavedFiles.read([
    ...(await pinnedFiles(workspace, targets)),
    ...changed.flatMap((source) => source.files),
  ]);
  const applied: NewSource[] = [];
  await using registry = flags.offline === true ? undefined : await openRegistries(session, flags);
  try {
    const resolveTag = tagResolver(session, registry, workspace);
    const pins = await pin(workspace, { ...targets, resolveTag }, await buildTools(session, flags));
    for (const source of changed) {
      applied.push(source);
      await source.apply();
    }
    return pins;
  } catch (error) {
    await saved.restore();
    for (const source of applied) await source.undo();
    throw error;
  }
}
