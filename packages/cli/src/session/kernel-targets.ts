import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { KernelFacts } from '@lkt/audit';
import type { KernelSubject } from '@lkt/image';
import { kindOf, referencesOf } from './audit-targets.ts';
import { readConfigFile } from './config-file.ts';
import type { Session } from './session.ts';

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
  const store = await session.findStore();
  const kind = await kindOf(resolve(session.environment.cwd, target));
  if (kind === 'config') {
    if (/\.ya?ml$/.test(target)) {
      const { kernelOfConfig } = await import('@lkt/image');
      const file = await readConfigFile(target, session);
      const homeDir = session.environment.home;
      const kernel = await kernelOfConfig(store, file, { platform: settings.platform, homeDir });
      return withFacts(kernel, given);
    }
    const { parseKernelConfig } = await import('@lkt/audit');
    const bytes = await bytesOf(session, target);
    return { name: target, facts: { config: parseKernelConfig(target, bytes), ...given } };
  }
  const [reference = target] = await referencesOf(session, target);
  const { kernelOfImage } = await import('@lkt/image');
  const kernel = await kernelOfImage(store, reference, settings.platform);
  return withFacts(kernel, given);
}

function withFacts(kernel: KernelSubject, given: KernelFacts): KernelSubject {
  const { config, parameters, sysctls } = kernel.facts;
  return {
    ...kernel,
    facts: {
      config,
      parameters: given.parameters ?? parameters,
      sysctls: given.sysctls ?? sysctls,
    },
  };
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
    throw new LktError('IO_FAILED', `cannot read ${path}`, { cause });
  }
}
