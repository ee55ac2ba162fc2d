import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { KernelConfig, KernelFacts } from '@lkt/audit';
import { kindOf, referencesOf } from './targets.ts';
import { sysctlFilesOf } from './boot-sysctls.ts';
import type { Session } from '../session/session.ts';
import { readConfigFile } from '../session/config-file.ts';
import { storedFiles } from '../session/image-files.ts';
import { pinnedReference } from '../session/pinned-reference.ts';

/** A kernel, and what is known of it. */
export interface KernelSubject {
  /** A reference, or the path of a file. */
  readonly name: string;
  /** The image's name without tag and digest. */
  readonly image?: string;
  readonly facts: KernelFacts;
}

export interface KernelSettings {
  readonly platform: string;
  /** Files: a command line, and what `sysctl -a` prints. */
  readonly cmdline?: string | undefined;
  readonly sysctl?: string | undefined;
}

/** Where a kernel's image says what the kernel was made with. */
const CONFIG_PATHS = ['kernel-config', 'kernel_config'];

/**
 * The kernel that a target names: a `.config`, an image of the store, the directory of a package, or an image config, whose
 * command line and sysctls are then known too.
 * @throws LktError NOT_FOUND, CONFIG_INVALID, PIN_MISSING
 */
export async function kernelOf(
  session: Session,
  target: string,
  settings: KernelSettings,
): Promise<KernelSubject> {
  const given = await givenFacts(session, settings);
  const kind = await kindOf(resolve(session.environment.cwd, target));
  if (kind === 'config') {
    if (/\.ya?ml$/.test(target)) return await kernelOfSystem(session, target, settings, given);
    const { parseKernelConfig } = await import('@lkt/audit');
    const bytes = await bytesOf(session, target);
    return { name: target, facts: { config: parseKernelConfig(target, bytes), ...given } };
  }
  const [reference = target] = await referencesOf(session, target);
  const kernel = await kernelOfImage(session, reference, settings.platform);
  return { ...kernel, facts: { config: kernel.config, ...given } };
}

async function kernelOfSystem(
  session: Session,
  path: string,
  { platform }: KernelSettings,
  given: KernelFacts,
): Promise<KernelSubject> {
  const { parseCommandLine, parseSysctls, sysctlsOfParameters } = await import('@lkt/audit');
  const { loadConfig } = await import('@lkt/image');
  const { config } = await loadConfig([await readConfigFile(path, session)], {});
  const { image, cmdline = '' } = config.kernel ?? {};
  if (image === undefined)
    throw new LktError('CONFIG_INVALID', `${path} has no kernel`, {
      fix: 'say in "kernel" which image it is in',
    });
  const kernel = await kernelOfImage(session, pinnedReference(image), platform);
  const parameters = parseCommandLine(cmdline);
  const sysctls = new Map(sysctlsOfParameters(parameters));
  for (const { name, bytes } of await sysctlFilesOf(session, config, { path, platform }))
    for (const [key, value] of parseSysctls(name, bytes.toString('utf8'))) sysctls.set(key, value);
  const facts = { config: kernel.config, parameters, sysctls, ...given };
  return { name: path, image: kernel.image, facts };
}

interface ImageKernel {
  readonly name: string;
  readonly image: string;
  readonly config: KernelConfig;
}

async function kernelOfImage(
  session: Session,
  reference: string,
  platform: string,
): Promise<ImageKernel> {
  const { familiarReference, parseReference } = await import('@lkt/oci');
  const { parseKernelConfig } = await import('@lkt/audit');
  const files = await storedFiles(session, reference, platform, (name) =>
    CONFIG_PATHS.includes(name),
  );
  const [found] = files;
  if (found === undefined)
    throw new LktError('NOT_FOUND', `${reference} does not say what its kernel was made with`, {
      fix: `give the .config instead; an image has it as /${CONFIG_PATHS[0]}`,
    });
  const { domain, path } = parseReference(reference);
  const config = parseKernelConfig(`${reference}:/${found[0]}`, found[1]);
  return { name: reference, image: familiarReference({ domain, path }), config };
}

async function givenFacts(session: Session, settings: KernelSettings): Promise<KernelFacts> {
  const { parseCommandLine, parseSysctls } = await import('@lkt/audit');
  const { cmdline, sysctl } = settings;
  const text = async (path: string): Promise<string> =>
    (await bytesOf(session, path)).toString('utf8');
  return {
    parameters: cmdline === undefined ? undefined : parseCommandLine(await text(cmdline)),
    sysctls: sysctl === undefined ? undefined : parseSysctls(sysctl, await text(sysctl)),
  };
}

async function bytesOf(session: Session, path: string): Promise<Buffer> {
  try {
    return await readFile(resolve(session.environment.cwd, path));
  } catch (cause) {
    if (isErrno(cause, 'ENOENT'))
      throw new LktError('NOT_FOUND', `there is no file ${path}`, { cause });
    throw new LktError('IO_FAILED', `${path} cannot be read`, { cause });
  }
}
