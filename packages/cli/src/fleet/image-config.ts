import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { FleetImageConfig, GroupImage } from '@lkt/fleet';
import { buildBootable } from '../machines/image-source.ts';
import type { FleetFlags } from '../session/fleet.ts';
import type { Session } from '../session/session.ts';

/**
 * Builds the image of a config that a fleet names, as `lkt build --locked` does, and adds it to the
 * store. Equal configs give equal digests, on every machine. The policies of the fleet apply too,
 * wherever the config is.
 */
export async function buildFleetImage(
  session: Session,
  flags: FleetFlags,
  { path, group, needsDisk, at }: FleetImageConfig,
  dir: string,
  policyDirs: readonly string[],
  buildDir: string,
): Promise<Omit<GroupImage, 'at'>> {
  const { writeMachineImage } = await import('@lkt/fleet');
  const { parseReference } = await import('@lkt/oci');
  const format = needsDisk ? ['kernel+initrd,raw-efi'] : ['kernel+initrd'];
  const file = resolve(dir, path);
  if (!existsSync(file))
    throw at.error(`there is no config ${path}`, { fix: 'write it, or correct the path' });
  const { containingDirs, findTrustFiles } = await import('@lkt/pkg');
  const applied = new Set(await findTrustFiles(containingDirs(file)));
  const others = (await findTrustFiles(policyDirs)).filter((one) => !applied.has(one));
  const trust = others.map((one) => relative(session.environment.cwd, one));
  const { name, prefix } = await buildBootable(session, [file], flags, {
    dir: join(buildDir, group),
    format,
    locked: true,
    ...(trust.length > 0 ? { trust: [...(flags.trust ?? []), ...trust] } : {}),
  });
  const reference = parseReference(
    `lkt-fleet/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`,
  );
  const store = await session.openStore();
  const { digest } = await writeMachineImage(store, prefix, reference, { hasDisk: needsDisk });
  return { reference, digest, text: path };
}
