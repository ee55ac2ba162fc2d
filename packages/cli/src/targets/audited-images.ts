import { join, resolve } from 'node:path';
import type { WaivedElf, WaivedFinding, Waiver } from '@lkt/audit';
import type { auditFlags, shellFlag } from '../flags/audit.ts';
import type { FlagValues, ParsedFlags } from '../flags/options.ts';
import { workspaceAt } from '../session/build-tools.ts';
import { readConfigFile } from '../session/config-file.ts';
import { statOf } from '../session/paths.ts';
import type { Session } from '../session/session.ts';
import { imageInStore } from './store-image.ts';
import { readWaivers } from './waivers.ts';

type AuditFlags = ParsedFlags<typeof auditFlags> & FlagValues<typeof shellFlag>;

/** An image in the store, with its findings. */
export interface AuditedImage {
  readonly reference: string;
  readonly elf: readonly WaivedElf[];
  readonly findings: readonly WaivedFinding[];
}

/** Audits the images of targets, with the waivers of the flags or the checkout. */
export async function auditTargets(
  session: Session,
  targets: readonly string[],
  flags: AuditFlags,
): Promise<readonly AuditedImage[]> {
  const { files } = await readWaivers(session, flags.waivers);
  const images: AuditedImage[] = [];
  for (const target of targets) images.push(...(await auditTarget(session, target, flags, files)));
  return images;
}

/**
 * Audits the images of a target: a reference, a package directory, or an image config.
 * @throws LktError NOT_FOUND for an image that is not in the store; PIN_MISSING
 */
export async function auditTarget(
  session: Session,
  target: string,
  flags: AuditFlags,
  waivers: readonly Waiver[],
): Promise<readonly AuditedImage[]> {
  const { applyWaivers, auditImage } = await import('@lkt/audit');
  const { familiarReference, parsePlatform } = await import('@lkt/oci');
  const platform = parsePlatform(flags.platform);
  const options = { shells: flags['no-shell'] !== true, signal: session.signal };
  const reports: AuditedImage[] = [];
  for (const reference of await referencesOf(session, target)) {
    const { store, source, descriptor } = await imageInStore(session, reference);
    const report = await auditImage(store, descriptor.digest, platform, options);
    const { domain, path } = source;
    const waived = applyWaivers(report, waivers, familiarReference({ domain, path }));
    reports.push({ reference, ...waived });
  }
  return reports;
}

/** Returns the references of a target's images, in the store or not. */
export async function referencesOf(session: Session, target: string): Promise<readonly string[]> {
  const { cwd } = session.environment;
  const kind = await kindOf(resolve(cwd, target));
  if (kind === 'reference') return [target];
  if (kind === 'package') return packageTags(session, target);
  const { imageReferencesOf, loadConfig, pinnedReference } = await import('@lkt/image');
  const { config } = await loadConfig([await readConfigFile(target, session)], {});
  return [...new Set(imageReferencesOf(config).map(pinnedReference))];
}

/** Returns the references that builds of the package in a directory have. */
export async function packageTags(
  session: Session,
  dir: string,
  from: string = session.environment.cwd,
): Promise<readonly string[]> {
  const { showTags } = await import('@lkt/pkg');
  const workspace = await workspaceAt(session, from);
  return showTags(workspace, [await workspace.packageAt(dir)], { signal: session.signal });
}

/** Returns the kind of a target; a missing path is a reference. */
export async function kindOf(path: string): Promise<'reference' | 'package' | 'config'> {
  const found = await statOf(path);
  if (found === undefined) return 'reference';
  if (!found.isDirectory()) return 'config';
  return (await statOf(join(path, 'build.yml'))) === undefined ? 'reference' : 'package';
}
