import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { LktError, shellWord, YamlError } from '@lkt/core';
import packageJson from '../../../package.json' with { type: 'json' };
import { LktCommand } from '../../command.ts';
import { Args, choiceFlag, switchFlag, valueFlag } from '../../flags/options.ts';
import { hasLogin, TEMPLATE_SUMMARY, TEMPLATES } from '../../init/image-template.ts';
import { LANGUAGES } from '../../init/package-templates.ts';
import { CI_SYSTEMS, ciIdentityOf, ciOf } from '../../init/ci-identity.ts';
import {
  IGNORED,
  type Project,
  projectFiles,
  PUBLIC_KEY,
  SYSTEM,
} from '../../init/project-files.ts';
import type { TrustFlags } from '../../flags/trust.ts';
import { trustedRootSetting } from '../../session/environment.ts';
import { isDirectory, readGiven } from '../../session/paths.ts';
import { PRIVATE_KEY } from '../../session/signer.ts';
import type { Session } from '../../session/session.ts';
import { givenRoot } from '../../session/trust.ts';

interface Result {
  readonly directory: string;
  /** Relative to the directory. */
  readonly files: readonly string[];
  /** The public key that may log in, if any. */
  readonly key: string | undefined;
}

export class Init extends LktCommand {
  static override summary = 'Create a repository for a system of your own';
  static override description = `Writes lkt.yml with the collection lkt, an image config, a package with a service, trust.yml with a new key pair, package.json, .gitignore and a CI workflow (docs/workspace.md). Keeps existing files.

The private key, release.key, is encrypted with COSIGN_PASSWORD, or else with an empty password. A clone from GitHub or GitLab gets no key: trust.yml accepts what the main branch's CI signs as itself.

The templates sshd and containerd let the key in ~/.ssh/id_ed25519.pub log in, or else another of yours.`;
  static override examples = [
    '<%= config.bin %> init my-os',
    '<%= config.bin %> init my-os --template minimal --lang c',
  ];
  static override args = {
    dir: Args.string({
      description: 'directory to create or fill; default: the current one',
      default: '.',
    }),
  };
  static override flags = {
    template: choiceFlag(TEMPLATES, TEMPLATE_SUMMARY, { default: 'sshd' }),
    lang: choiceFlag(LANGUAGES, 'language of the first package', { default: 'go' }),
    ci: choiceFlag(CI_SYSTEMS, 'CI workflow; default: by the address of the remote "origin"'),
    org: valueFlag('NAME', 'organization of the packages; default: the name of the directory'),
    collection: valueFlag('SOURCE', 'source of the collection lkt', {
      default: 'npm:@lkt/packages',
    }),
    registry: valueFlag('HOST/PREFIX', 'registry that serves the images of the collection'),
    'registry-key': valueFlag('FILE', 'public key that signed the images of --registry', {
      dependsOn: ['registry'],
    }),
    'trusted-root': valueFlag(
      'FILE',
      'trusted_root.json by which the identity of CI is verified (LKT_TRUSTED_ROOT)',
    ),
    'ssh-key': valueFlag('FILE', 'public key that may log in'),
    yes: switchFlag('for scripts: init asks nothing anyway', { char: 'y' }),
    force: switchFlag(
      'write into a directory with files: they stay, and .gitignore gets more lines',
    ),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Init);
    const session = await this.begin(flags);
    const { cwd, variables } = session.environment;
    const dir = resolve(cwd, args.dir);
    const name = imageName(basename(dir));
    const { findSshKey, readSshKey } = await import('../../init/ssh-keys.ts');
    const { addLines, requireEmpty, writeProject } = await import('../../init/write-project.ts');
    const org = flags.org ?? name;
    if (org === SYSTEM)
      throw new LktError('USAGE_INVALID', `${org} is the organization of the collection`, {
        fix: 'choose another one: --org NAME',
      });
    await requireEmpty(dir, flags.force);
    const given = flags['ssh-key'];
    const key = !hasLogin(flags.template)
      ? undefined
      : given === undefined
        ? findSshKey(session.environment.home, variables)
        : readSshKey(resolve(cwd, given), given);
    if (hasLogin(flags.template) && key === undefined)
      throw new LktError('NOT_FOUND', 'there is no public key for the login over ssh', {
        fix: 'run ssh-keygen -t ed25519, or use --ssh-key FILE or --template minimal',
      });
    const { registry, 'registry-key': registryKey } = flags;
    const { url, branch } = await remoteOf(session, dir);
    const ci = flags.ci ?? ciOf(url);
    const identity = ciIdentityOf(ci, url, branch);
    if (identity === undefined && flags['trusted-root'] !== undefined)
      throw new LktError(
        'USAGE_INVALID',
        '--trusted-root is for what CI signs, and no CI is known',
        {
          fix: 'leave it out, or run init at the top of a clone from GitHub or GitLab',
        },
      );
    const project: Project = {
      name,
      org,
      template: flags.template,
      language: flags.lang,
      ci,
      source: flags.collection,
      registry,
      registryKey: registryKey === undefined ? undefined : await keyText(session, registryKey),
      signingKey: identity === undefined ? await newKey(session, dir) : undefined,
      identity,
      trustedRoot: identity && (await rootText(session, flags)),
      keys: key === undefined ? [] : [key],
      version: releasedVersion(),
    };
    const files = projectFiles(project);
    await validate(files, dir);
    // A failure afterwards would leave half a repository.
    const isInRepository = await isInGit(session, dir);
    const written = [...(await writeProject(dir, files))];
    // Else git would add the private key.
    if (!written.includes('.gitignore') && (await addLines(join(dir, '.gitignore'), IGNORED)))
      written.push('.gitignore');
    if (!isInRepository) await initRepository(session, dir);
    this.endProgress();
    const shown = relative(cwd, dir) || '.';
    for (const path of written) this.log(shown === '.' ? path : `${shown}/${path}`);
    this.log('');
    if (key !== undefined) this.log(`${key.from} may log in as root`);
    if (written.includes(PRIVATE_KEY))
      this.log(`${PRIVATE_KEY} signs what you publish; git ignores it, so keep a copy`);
    if (identity !== undefined)
      this.log(
        project.trustedRoot === undefined
          ? 'trust.yml accepts what CI signs once it names a trusted root: npx lkt trust update'
          : `trust.yml accepts what CI signs as ${identity.subject}`,
      );
    if (registry !== undefined && registryKey === undefined)
      this.log(
        `images of ${registry} are used if the collection's trust.yml accepts them; to accept those of a key, give --registry-key`,
      );
    this.log(
      `next: ${shown === '.' ? '' : `cd ${shellWord(shown)} && `}npm install && npx lkt pin images/${name}.yml && npm start`,
    );
    return { directory: dir, files: written, key: key?.from };
  }
}

/** Returns a directory's name as the name of an image. */
function imageName(directory: string): string {
  const name = directory
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return name === '' ? 'my-os' : name;
}

/** Flags whose values go into lkt.yml, by their keys there. */
const FLAGS: Readonly<Record<string, string>> = {
  org: '--org NAME',
  'collections.lkt.source': '--collection SOURCE',
  'collections.lkt.registry': '--registry HOST/PREFIX',
};

/**
 * Parses the new files, so that an invalid flag fails before anything is written.
 * @param dir of the new workspace
 * @throws USAGE_INVALID; NOT_FOUND without the directory of the collection
 */
async function validate(files: ReadonlyMap<string, string>, dir: string): Promise<void> {
  const { parseWorkspaceFile } = await import('@lkt/pkg');
  const parse = (): ReturnType<typeof parseWorkspaceFile> => {
    const text = files.get('lkt.yml') ?? '';
    try {
      return parseWorkspaceFile({ path: 'lkt.yml', text });
    } catch (error) {
      if (!(error instanceof YamlError)) throw error;
      const flag = FLAGS[error.key];
      if (flag === undefined) throw error;
      // Its position is in a file that is not written yet.
      const { problem, cause, fix = `give another one: ${flag}` } = error;
      throw new LktError('USAGE_INVALID', `${flag.replace(/ .*/, '')}: ${problem}`, { cause, fix });
    }
  };
  const { collections } = parse();
  for (const { source } of collections.values()) {
    if (source.kind !== 'path' || (await isDirectory(resolve(dir, source.path)))) continue;
    throw new LktError('NOT_FOUND', `there is no directory ${resolve(dir, source.path)}`, {
      fix: `name one, relative to ${dir}: --collection path:DIR`,
    });
  }
}

/** Returns a new key pair; undefined if the directory has one. */
async function newKey(
  { environment: { variables } }: Session,
  dir: string,
): Promise<Project['signingKey']> {
  if ([PRIVATE_KEY, PUBLIC_KEY].some((path) => existsSync(join(dir, path)))) return undefined;
  const { generateKey } = await import('@lkt/sign');
  return generateKey(variables['COSIGN_PASSWORD'] ?? '', 'ecdsa');
}

/** Returns the text of a public key. */
async function keyText({ environment: { cwd } }: Session, path: string): Promise<string> {
  const { readPublicKey } = await import('@lkt/sign');
  const text = await readGiven(cwd, path, `--registry-key ${path}`);
  await readPublicKey(path, { cwd });
  return text;
}

/**
 * Returns the text of the trusted root that the user has; undefined without one.
 * @throws LktError CONFIG_INVALID, NOT_FOUND
 */
async function rootText(session: Session, flags: TrustFlags): Promise<string | undefined> {
  if ((await givenRoot(session, flags)) === undefined) return undefined;
  const { value, from } = trustedRootSetting(flags['trusted-root'], session.environment);
  return readGiven(session.environment.cwd, value, `${from} ${value}`);
}

/**
 * Returns the address of the remote `origin` of the repository with this top, empty without one,
 * and its default branch. A CI reads no workflow of a directory below.
 */
async function remoteOf(
  { environment }: Session,
  dir: string,
): Promise<{ readonly url: string; readonly branch: string }> {
  const { createGit, findTop } = await import('@lkt/git');
  const git = createGit(environment.variables);
  const none = { url: '', branch: '' };
  if (!existsSync(dir)) return none;
  const top = realpathSync(dir);
  if ((await findTop(git, top)) !== top) return none;
  const read = async (...words: readonly string[]): Promise<string> =>
    (await git.run(top, words, { exits: [1] })).stdout.trim();
  const url = await read('config', '--get', 'remote.origin.url');
  const theirs = await read('symbolic-ref', '--quiet', '--short', 'refs/remotes/origin/HEAD');
  // Nothing was fetched yet from a new repository.
  return { url, branch: theirs.replace(/^origin\//, '') || 'main' };
}

/**
 * Reports whether a directory, which need not exist, is or will be in a git repository.
 * @throws LktError TOOL_MISSING without git; GIT_FAILED for a repository that git rejects
 */
async function isInGit({ environment }: Session, dir: string): Promise<boolean> {
  const { createGit, findTop } = await import('@lkt/git');
  const git = createGit(environment.variables);
  let existing = dir;
  while (!existsSync(existing)) existing = dirname(existing);
  if ((await findTop(git, realpathSync(existing))) !== undefined) return true;
  await git.run(existing, ['version']);
  return false;
}

/** Creates a git repository, from which packages get their hashes. */
async function initRepository({ environment }: Session, dir: string): Promise<void> {
  const { createGit } = await import('@lkt/git');
  await createGit(environment.variables).run(dir, ['init', '--quiet']);
}

/** Returns the version of lkt; undefined in a checkout. */
function releasedVersion(): string | undefined {
  const { version } = packageJson;
  return version === '0.0.0' ? undefined : version;
}
