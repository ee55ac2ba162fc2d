import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { FilesReport, Waiver } from '@lkt/audit';
import type { Descriptor, Platform, Reference, Store } from '@lkt/oci';
import type { WaivedElf, WaivedFinding } from '@lkt/audit';
import { workspaceAt } from './build-tools.ts';
import { readConfigFile } from './config-file.ts';
import type { Session } from './session.ts';
import { imageInStore } from './store-image.ts';

/** An image in the store, with its findings. */
export interface AuditedImage {
  readonly reference: string;
  readonly elf: readonly WaivedElf[];
  readonly findings: readonly WaivedFinding[];
}

export interface AuditSettings {
  readonly 'no-shell'?: boolean;
  readonly platform?: string | undefined;
}

/**
 * Audits the images of a target: a reference, a package directory, or an image config.
 * @throws LktError NOT_FOUND for an image that is not in the store; PIN_MISSING
 */
export async function auditTarget(
  session: Session,
  target: string,
  settings: AuditSettings,
  waivers: readonly Waiver[],
): Promise<readonly AuditedImage[]> {
  const { applyWaivers } = await import('@lkt/audit');
  const reports: AuditedImage[] = [];
  for (const reference of await referencesOf(session, target)) {
    const { store, source, descriptor } = await imageInStore(session, reference);
    const report = await auditImage(session, store, descriptor, settings);
    reports.push({ reference, ...applyWaivers(report, waivers, await nameOf(source)) });
  }
  return reports;
}

async function auditImage(
  session: Session,
  store: Store,
  { digest }: Descriptor,
  settings: AuditSettings,
): Promise<FilesReport> {
  const { auditArchives } = await import('@lkt/audit');
  const { loadImage, parsePlatform, UnpackedLayers } = await import('@lkt/oci');
  const platform: Platform = parsePlatform(settings.platform ?? 'linux/amd64');
  const { manifest } = await loadImage(store, digest, platform);
  await using unpacked = new UnpackedLayers(store);
  return await auditArchives(store, unpacked.archives(manifest.layers), {
    shells: settings['no-shell'] !== true,
    signal: session.signal,
  });
}

async function nameOf({ domain, path }: Reference): Promise<string> {
  const { familiarReference } = await import('@lkt/oci');
  return familiarReference({ domain, path });
}

/** Returns the references of a target's images, in the store or not. */
export async function referencesOf(session: Session, target: string): Promise<readonly string[]> {
  const path = resolve(session.environment.cwd, target);
  const kind = await kindOf(path);
  if (kind === 'reference') return [target];
  if (kind === 'package') {
    const { showTags } = await import('@lkt/pkg');
    const workspace = await workspaceAt(session, session.environment.cwd);
    return showTags(workspace, [await workspace.packageAt(target)], { signal: session.signal });
  }
  const { imageReferencesOf, loadConfig, pinnedReference } = await import('@lkt/image');
  const { config } = await loadConfig([await readConfigFile(target, session)], {});
  return [...new Set(imageReferencesOf(config).map(pinnedReference))];
}

/** Returns the kind of a target; a missing path is a reference. */
export async function kindOf(path: string): Promise<'reference' | 'package' | 'config'> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) return 'config';
    await stat(join(path, 'build.yml'));
    return 'package';
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return 'reference';
    throw new LktError('IO_FAILED', `cannot read ${path}`, { cause });
  }
}
