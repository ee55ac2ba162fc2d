import { existsSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { Workspace } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { choiceFlag, listFlag, requiredArg, valueFlag } from '../../flags/options.ts';
import {
  hasLogin,
  imageConfig,
  type NewService,
  packagesOf,
  TEMPLATE_SUMMARY,
  TEMPLATES,
  WEB_PORT,
} from '../../init/image-template.ts';
import { findSshKey, readSshKey, type SshKey } from '../../init/ssh-keys.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import type { Session } from '../../session/session.ts';

interface Result {
  /** Relative to the current directory. */
  readonly files: readonly string[];
  /** The public key that may log in, if any. */
  readonly key: string | undefined;
}

export class NewImage extends LktCommand {
  static override summary = 'Create an image config';
  static override description = `Writes an image config with Debian's kernel, DHCP and the given packages of the workspace. The directory is the first of "images" in lkt.yml, default images. Overwrites nothing.`;
  static override examples = [
    '<%= config.bin %> new image router',
    '<%= config.bin %> new image sensor --template minimal --package collector',
  ];
  static override args = { name: requiredArg('name of the image') };
  static override flags = {
    dir: valueFlag('DIR', 'directory for the config'),
    package: listFlag('NAME', 'package of the workspace that runs as a service'),
    'ssh-key': valueFlag('FILE', 'public key that may log in; default: keys/login.pub, else yours'),
    template: choiceFlag(TEMPLATES, TEMPLATE_SUMMARY, { default: 'sshd' }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(NewImage);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { organizationOf, placeOf, requireName } = await import('../../init/place.ts');
    const { writeNew } = await import('../../init/write-project.ts');
    const { name } = args;
    const { template } = flags;
    requireName(name);
    if (template === 'web' && flags.package === undefined)
      throw new LktError('USAGE_INVALID', 'the template web needs a package with a web server', {
        fix: `name a package that serves HTTP on port ${WEB_PORT}: --package NAME`,
      });
    const workspace = await workspaceAt(session, cwd);
    const path = placeOf(workspace, 'images', name, flags.dir);
    const keyFile = join(workspace.root, 'keys', 'login.pub');
    const key = hasLogin(template) ? findKey(session, flags['ssh-key'], keyFile) : undefined;
    const file = relative(cwd, path);
    const written = new Map([
      [
        file,
        imageConfig({
          name,
          path: file,
          template,
          system: organizationOf(workspace, packagesOf(template)),
          hasTrustFile: existsSync(join(workspace.root, 'trust.yml')),
          services: (flags.package ?? []).map((given) => serviceOf(workspace, given)),
          keys: key === undefined ? [] : [relative(dirname(path), key.file)],
        }),
      ],
      ...(key?.isNew === true ? [[relative(cwd, key.file), `${key.line}\n`] as const] : []),
    ]);
    await writeNew(cwd, written);
    this.endProgress();
    for (const one of written.keys()) this.log(one);
    if (key !== undefined) this.log(`\n${key.from} may log in as root`);
    this.log(
      `${key === undefined ? '\n' : ''}${this.asCalled(`next: lkt pin ${file} && lkt run ${file}`)}`,
    );
    return { files: [...written.keys()], key: key?.from };
  }
}

/** The key that may log in. */
type LoginKey = SshKey & { readonly isNew: boolean };

/**
 * Returns the key that the user names, or the workspace's, or the user's.
 * @param workspaceKey file of the workspace's key, which need not exist
 * @throws LktError NOT_FOUND, USAGE_INVALID
 */
function findKey(
  { environment }: Session,
  given: string | undefined,
  workspaceKey: string,
): LoginKey {
  const { cwd, home, variables } = environment;
  const shown = relative(cwd, workspaceKey);
  if (given !== undefined) {
    const path = resolve(cwd, given);
    const key = readSshKey(path, given);
    const keys = dirname(workspaceKey);
    const isInside = !relative(dirname(keys), path).startsWith('../');
    return isInside
      ? { ...key, file: path, isNew: false }
      : { ...key, file: join(keys, basename(path)), isNew: true };
  }
  try {
    return { ...readSshKey(workspaceKey, shown), file: workspaceKey, isNew: false };
  } catch (error) {
    if (!(error instanceof LktError && error.code === 'NOT_FOUND')) throw error;
  }
  const key = findSshKey(home, variables);
  if (key !== undefined) return { ...key, file: workspaceKey, isNew: true };
  throw new LktError('NOT_FOUND', 'there is no public key for the login over ssh', {
    fix: 'run ssh-keygen -t ed25519, or use --ssh-key FILE or --template minimal',
  });
}

/** @throws LktError NOT_FOUND */
function serviceOf(workspace: Workspace, given: string): NewService {
  const own = `${workspace.spec?.org ?? ''}/${given}`;
  const item = workspace.get(given.includes('/') ? given : own);
  return { name: item.image, image: item.name };
}
