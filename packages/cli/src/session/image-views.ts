import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { ImageView } from '@lkt/inspect';
import type { Platform } from '@lkt/oci';
import { valueFlag } from '../flags/options.ts';
import { givenVariables, setFlags } from '../flags/set.ts';
import { workspaceAt } from './build-tools.ts';
import { readConfigFile } from './config-file.ts';
import type { Session } from './session.ts';
import { imageInStore } from './store-image.ts';

/** The flags of commands that show images in any form. */
export const viewFlags = {
  ...setFlags,
  platform: valueFlag('linux/ARCH', 'platform to show of a multi-platform image', {
    default: 'linux/amd64',
  }),
};

export const VIEW_DESCRIPTION =
  'an output of lkt build (its NAME or one of the files), an image config, a package directory, or a reference in the store';

interface ViewSettings {
  readonly set?: readonly string[] | undefined;
  readonly platform: string;
}

/** A target named on the command line, with its platform. */
export interface Viewed {
  readonly view: ImageView;
  readonly platform: Platform;
}

/**
 * Opens a target: an output of a build (a file or its NAME), a config (`.yml`, `-` or a URL), a
 * package directory, or an image in the store.
 * @throws LktError NOT_FOUND, and the errors of reading the target
 */
export async function viewTarget(
  session: Session,
  target: string,
  settings: ViewSettings,
): Promise<Viewed> {
  const { parsePlatform } = await import('@lkt/oci');
  const platform = parsePlatform(settings.platform);
  const { viewBuild, viewStored } = await import('@lkt/inspect');
  const path = resolve(session.environment.cwd, target);
  const isDirectory = await isDirectoryAt(path);
  const isConfig = target === '-' || /^https?:\/\//i.test(target) || /\.ya?ml$/.test(target);
  if (isConfig && !isDirectory)
    return { view: await viewedConfig(session, target, settings, platform), platform };
  // A directory may have the same name as the outputs of a build.
  const build = await viewBuild(path, platform);
  if (build !== undefined) return { view: build, platform };
  const reference = isDirectory ? await packageTag(session, target) : target;
  const { store, descriptor } = await imageInStore(session, reference);
  return { view: await viewStored(store, reference, descriptor, platform), platform };
}

async function viewedConfig(
  session: Session,
  target: string,
  settings: ViewSettings,
  platform: Platform,
): Promise<ImageView> {
  const { viewConfig } = await import('@lkt/inspect');
  const file = await readConfigFile(target, session);
  const store = await session.openStore();
  return viewConfig([file], {
    store,
    platform,
    homeDir: session.environment.home,
    reporter: session.reporter,
    signal: session.signal,
    set: givenVariables(settings),
    findPackage: async (directory, { absolute }) => {
      const { showTags } = await import('@lkt/pkg');
      const { formatReference, parseReference } = await import('@lkt/oci');
      const dir = resolve(dirname(absolute), directory);
      const workspace = await workspaceAt(session, dirname(absolute));
      const item = await workspace.packageAt(dir);
      const [tag = ''] = await showTags(workspace, [item], { signal: session.signal });
      const full = formatReference(parseReference(tag));
      const found = await store.resolve(full);
      return found && { digest: found.digest, full: `${full}@${found.digest}` };
    },
  });
}

async function packageTag(session: Session, target: string): Promise<string> {
  const { cwd } = session.environment;
  if (!(await isFileAt(join(resolve(cwd, target), 'build.yml'))))
    throw new LktError('NOT_FOUND', `${target} is a directory, but not a package`, {
      fix: 'name an output of lkt build in it, such as DIR/sshd',
    });
  const { showTags } = await import('@lkt/pkg');
  const workspace = await workspaceAt(session, cwd);
  const [tag = ''] = await showTags(workspace, [await workspace.packageAt(target)], {
    signal: session.signal,
  });
  return tag;
}

async function isDirectoryAt(path: string): Promise<boolean> {
  return (await statOf(path))?.isDirectory() ?? false;
}

async function isFileAt(path: string): Promise<boolean> {
  return (await statOf(path))?.isFile() ?? false;
}

async function statOf(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new LktError('IO_FAILED', `cannot read ${path}`, { cause });
  }
}
