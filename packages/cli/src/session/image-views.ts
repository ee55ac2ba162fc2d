import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { ImageView } from '@lkt/inspect';
import type { Platform } from '@lkt/oci';
import { Flags } from '../flags/options.ts';
import { givenVariables, setFlags } from '../flags/set.ts';
import { workspaceAt } from './build-tools.ts';
import { readConfigFile } from './config-file.ts';
import type { Session } from './session.ts';
import { imageInStore } from './store-image.ts';

/** What every command accepts that looks at images in any form. */
export const viewFlags = {
  ...setFlags,
  platform: Flags.string({
    summary: 'of an image for several, that for this one',
    helpValue: 'linux/ARCH',
    default: 'linux/amd64',
  }),
};

export const VIEW_DESCRIPTION =
  'what lkt build wrote (by its NAME or one of the files), an image config, the directory of a package, or a reference of the store';

interface ViewSettings {
  readonly set?: readonly string[] | undefined;
  readonly platform: string;
}

/** A target of the command line. `digests`: of an image of the store, what signatures may be beside. */
export interface Viewed {
  readonly view: ImageView;
  readonly platform: Platform;
}

/**
 * What a target names: a file of a build or its NAME, a config (`.yml`, `-` or an address), the directory of a package, or
 * an image of the store.
 * @throws LktError NOT_FOUND, and what reading it throws
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
  // A name of files may be that of a directory, too.
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
    throw new LktError('NOT_FOUND', `${target} is a directory, and no package`, {
      fix: 'name what lkt build wrote there, such as DIR/sshd',
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
    throw new LktError('IO_FAILED', `${path} cannot be looked at`, { cause });
  }
}
