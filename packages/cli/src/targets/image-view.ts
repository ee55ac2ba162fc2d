import { dirname, join, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { ImageView } from '@lkt/inspect';
import type { Platform } from '@lkt/oci';
import type { ParsedFlags } from '../flags/options.ts';
import { platformFlag } from '../flags/platform.ts';
import { givenVariables, setFlags } from '../flags/set.ts';
import { packageTags } from './audited-images.ts';
import { readConfigFile } from '../session/config-file.ts';
import { isDirectory, statOf } from '../session/paths.ts';
import type { Session } from '../session/session.ts';
import { imageInStore } from './store-image.ts';

/** The flags of commands that show images in any form. */
export const viewFlags = {
  ...setFlags,
  ...platformFlag,
};

type ViewFlags = ParsedFlags<typeof viewFlags>;

export const VIEW_DESCRIPTION =
  'an output of lkt build (its NAME or a file), an image config, a package directory, or a reference in the store';

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
  settings: ViewFlags,
): Promise<Viewed> {
  const { parsePlatform } = await import('@lkt/oci');
  const platform = parsePlatform(settings.platform);
  const { viewBuild, viewStored } = await import('@lkt/inspect');
  const path = resolve(session.environment.cwd, target);
  const isDir = await isDirectory(path);
  const isConfig = target === '-' || /^https?:\/\//i.test(target) || /\.ya?ml$/.test(target);
  if (isConfig && !isDir)
    return { view: await viewedConfig(session, target, settings, platform), platform };
  // A directory may have the same name as the outputs of a build.
  const build = await viewBuild(path, platform);
  if (build !== undefined) return { view: build, platform };
  const reference = isDir ? await packageTag(session, target) : target;
  const { store, descriptor } = await imageInStore(session, reference);
  return { view: await viewStored(store, reference, descriptor, platform), platform };
}

async function viewedConfig(
  session: Session,
  target: string,
  settings: ViewFlags,
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
      const { formatReference, parseReference } = await import('@lkt/oci');
      const from = dirname(absolute);
      const [tag = ''] = await packageTags(session, resolve(from, directory), from);
      const full = formatReference(parseReference(tag));
      const found = await store.resolve(full);
      return found && { digest: found.digest, full: `${full}@${found.digest}` };
    },
  });
}

async function packageTag(session: Session, target: string): Promise<string> {
  const file = await statOf(join(resolve(session.environment.cwd, target), 'build.yml'));
  if (file?.isFile() !== true)
    throw new LktError('NOT_FOUND', `${target} is a directory, but not a package`, {
      fix: 'name an output of lkt build in it, such as DIR/sshd',
    });
  const [tag = ''] = await packageTags(session, target);
  return tag;
}
