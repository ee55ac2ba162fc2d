import { relative } from 'node:path';
import type { Workspace } from '@lkt/pkg';
import { workspaceAt } from '../session/build-tools.ts';
import type { Session } from '../session/session.ts';
import { organizationOf, organizationOfNew, placeOf, requireName } from './place.ts';

/** The directories and organizations of new packages. */
export interface NewPackages {
  readonly workspace: Workspace;
  /** Of the packages in order, relative to the current directory. */
  readonly directories: readonly string[];
  readonly org: string;
  /** `org` of their build.yml; undefined if lkt.yml has it. */
  readonly statedOrg: string | undefined;
  /** Organization of the packages that build them: `lkt`. */
  readonly tools: string;
}

/**
 * Finds the directories and organizations for new packages of the current workspace.
 * @param name given by the user
 * @param images names of the new packages' images
 * @param tools images that the new packages are built from, without organization
 * @throws LktError USAGE_INVALID; NOT_FOUND if no collection has the tools
 */
export async function planPackages(
  session: Session,
  name: string,
  { images, tools }: Readonly<Record<'images' | 'tools', readonly string[]>>,
  flags: { readonly dir: string | undefined; readonly org: string | undefined },
): Promise<NewPackages> {
  const { cwd } = session.environment;
  requireName(name);
  const workspace = await workspaceAt(session, cwd);
  const directories = images.map((image) =>
    relative(cwd, placeOf(workspace, 'packages', image, flags.dir)),
  );
  const org = organizationOfNew(workspace, images, flags.org);
  return {
    workspace,
    directories,
    org,
    statedOrg: org === workspace.spec?.org ? undefined : org,
    tools: organizationOf(workspace, tools),
  };
}
