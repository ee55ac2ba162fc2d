import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { buildTools, workspaceAt } from '../session/build-tools.ts';
import type { Session } from '../session/session.ts';

/** The request of a command that prints attestations. */
export interface WantedAttestation {
  readonly kind: 'provenance' | 'sbom';
  /** A package directory (built if needed), or a reference to an image in the store. */
  readonly image: string;
  readonly buildYml?: string | undefined;
  readonly platform?: string | undefined;
}

/** Returns the documents, byte for byte as stored beside the image. */
export async function attestationsOf(
  session: Session,
  { kind, image, buildYml, platform: wanted }: WantedAttestation,
): Promise<readonly string[]> {
  const { buildPackages, readAttestations } = await import('@lkt/pkg');
  const { parsePlatform } = await import('@lkt/oci');
  const platform = wanted === undefined ? undefined : parsePlatform(wanted);
  const { cwd } = session.environment;
  if (!(await isPackage(resolve(cwd, image), buildYml))) {
    const store = await session.findStore();
    if (store === undefined) throw new LktError('NOT_FOUND', `${image} is not in the store`);
    return (await readAttestations(store, image, kind, platform)).map(String);
  }
  const workspace = await workspaceAt(session, cwd, buildYml);
  const target = await workspace.packageAt(image);
  const tools = await buildTools(session);
  const platforms = platform === undefined ? {} : { platforms: [platform] };
  const { packages } = await buildPackages(workspace, [target], { ...tools, ...platforms });
  const built = packages.find(({ item }) => item === target);
  if (built === undefined) throw new Error(`${target.name} was not built`);
  const { readAttestation } = await import('@lkt/attest');
  const { index, images } = built.attestations;
  const first = platform === undefined ? index : images[0];
  if (first === undefined) throw new Error(`${target.name} has no image`);
  return [String(await readAttestation(tools.store, first[kind]))];
}

async function isPackage(dir: string, buildYml = 'build.yml'): Promise<boolean> {
  try {
    return (await stat(join(dir, buildYml))).isFile();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}
