import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { KernelFacts } from '@lkt/audit';
import type { KernelSubject } from '@lkt/image';
import { kindOf, referencesOf } from './audited-images.ts';
import { readConfigFile } from '../session/config-file.ts';
import type { Session } from '../session/session.ts';

export interface KernelSettings {
  readonly platform: string;
  /** Files with a command line, and with the output of `sysctl -a`. */
  readonly cmdline?: string | undefined;
  readonly sysctl?: string | undefined;
}

/**
 * Returns the kernel of a target: a `.config`, an image in the store, a package directory, or an
 * image config, which also gives the command line and sysctls.
 * @throws LktError NOT_FOUND, CONFIG_INVALID, PIN_MISSING
 */
export async function kernelOf(
  session: Session,
  target: string,
  settings: KernelSettings,
): Promise<KernelSubject> {
  const given = await givenFacts(session, settings);
  const kernel = await kernelAt(session, target, settings.platform);
  return { ...kernel, facts: { ...kernel.facts, ...given } };
}

async function kernelAt(
  session: Session,
  target: string,
  platform: string,
): Promise<KernelSubject> {
  const { kernelOfConfig, kernelOfImage } = await import('@lkt/image');
  const { cwd, home } = session.environment;
  const store = await session.findStore();
  if ((await kindOf(resolve(cwd, target))) !== 'config') {
    const [reference = target] = await referencesOf(session, target);
    return kernelOfImage(store, reference, platform);
  }
  if (/\.ya?ml$/.test(target)) {
    const file = await readConfigFile(target, session);
    return kernelOfConfig(store, file, { platform, homeDir: home });
  }
  const { parseKernelConfig } = await import('@lkt/audit');
  const config = parseKernelConfig(target, await bytesOf(session, target));
  return { name: target, facts: { config } };
}

/** Returns the facts that the flags give. */
async function givenFacts(
  session: Session,
  { cmdline, sysctl }: KernelSettings,
): Promise<Pick<KernelFacts, 'parameters' | 'sysctls'>> {
  const { parseCommandLine, parseSysctls } = await import('@lkt/audit');
  const text = async (path: string): Promise<string> => String(await bytesOf(session, path));
  return {
    ...(cmdline !== undefined && { parameters: parseCommandLine(await text(cmdline)) }),
    ...(sysctl !== undefined && { sysctls: parseSysctls(sysctl, await text(sysctl)) }),
  };
}

async function bytesOf(session: Session, path: string): Promise<Buffer> {
  try {
    return await readFile(resolve(session.environment.cwd, path));
  } catch (cause) {
    if (isErrno(cause, 'ENOENT'))
      throw new LktError('NOT_FOUND', `there is no file ${path}`, { cause });
    throw new LktError('IO_FAILED', `cannot read ${path}`, { cause });
  }
}
