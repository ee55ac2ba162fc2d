import type { KernelFacts } from '@lkt/audit';
import { LktError, type SourceFile } from '@lkt/core';
import { familiarReference, parseReference, type Store } from '@lkt/oci';
import { loadConfig } from '../config/load-config.ts';
import { pinnedReference } from '../config/pinned-reference.ts';
import { storeFiles, sysctlFilesOf, type SysctlOptions } from './sysctl-files.ts';

/** A kernel and the facts known about it. */
export interface KernelSubject {
  /** Reference, or path of a config. */
  readonly name: string;
  /** Image name without tag and digest. */
  readonly image?: string;
  readonly facts: KernelFacts;
}

/** Paths of the kernel's build configuration in its image. */
const CONFIG_PATHS = ['kernel-config', 'kernel_config'];

/**
 * Returns the kernel of an image config with its command line and sysctls.
 * @throws NOT_FOUND, CONFIG_INVALID, PIN_MISSING
 */
export async function kernelOfConfig(
  store: Store | undefined,
  file: SourceFile,
  { platform, homeDir }: Omit<SysctlOptions, 'path'>,
): Promise<KernelSubject> {
  const { path } = file;
  const { parseCommandLine, parseSysctls, sysctlsOfParameters } = await import('@lkt/audit');
  const { config } = await loadConfig([file], {});
  const { image, cmdline = '' } = config.kernel ?? {};
  if (image === undefined)
    throw new LktError('CONFIG_INVALID', `${path} has no kernel`, {
      fix: 'set kernel.image',
    });
  const kernel = await kernelOfImage(store, pinnedReference(image), platform);
  const parameters = parseCommandLine(cmdline);
  const sysctls = new Map(sysctlsOfParameters(parameters));
  for (const { name, bytes } of await sysctlFilesOf(store, config, { path, platform, homeDir }))
    for (const [key, value] of parseSysctls(name, bytes.toString('utf8'))) sysctls.set(key, value);
  const facts = { ...kernel.facts, parameters, sysctls };
  return { name: path, image: kernel.image, facts };
}

/**
 * Returns the kernel of an image with the configuration that it was made with.
 * @throws NOT_FOUND
 */
export async function kernelOfImage(
  store: Store | undefined,
  reference: string,
  platform: string,
): Promise<KernelSubject> {
  const { parseKernelConfig } = await import('@lkt/audit');
  const files = await storeFiles(store, reference, platform, (name) => CONFIG_PATHS.includes(name));
  const [first] = files;
  if (first === undefined)
    throw new LktError('NOT_FOUND', `${reference} has no kernel configuration`, {
      fix: `pass the .config instead, or add it to the image as /${CONFIG_PATHS[0]}`,
    });
  const { domain, path } = parseReference(reference);
  const config = parseKernelConfig(`${reference}:/${first[0]}`, first[1]);
  return { name: reference, image: familiarReference({ domain, path }), facts: { config } };
}
