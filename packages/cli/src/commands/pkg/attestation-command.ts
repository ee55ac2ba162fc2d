import { join, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import { type CommonFlags, LktCommand } from '../../command.ts';
import { type FlagValues, requiredArg, valueFlag } from '../../flags/options.ts';
import { packageFlags } from '../../flags/package.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { statOf } from '../../session/paths.ts';
import type { Session } from '../../session/session.ts';

export const attestationArgs = {
  image: requiredArg('package directory (built if needed), or an image in the store'),
};

export const attestationFlags = {
  ...packageFlags,
  platform: valueFlag('linux/amd64', 'platform of the image; default: all'),
};

type AttestationFlags = FlagValues<typeof attestationFlags>;
type Kind = 'provenance' | 'sbom';

/** Base of the commands that print the documents beside an image. */
export abstract class AttestationCommand extends LktCommand {
  /**
   * Prints the documents of an image and returns them parsed.
   * @param convert conversion to another format; default: byte for byte as stored
   */
  protected async show(
    kind: Kind,
    image: string,
    flags: CommonFlags & AttestationFlags,
    convert: (text: string) => Promise<string> = async (text) => text,
  ): Promise<readonly unknown[]> {
    const session = await this.begin(flags);
    const texts: string[] = [];
    for (const text of await documentsOf(session, kind, image, flags))
      texts.push(await convert(text));
    this.endProgress();
    for (const text of texts) this.log(text);
    return texts.map((text) => JSON.parse(text) as unknown);
  }
}

async function documentsOf(
  session: Session,
  kind: Kind,
  image: string,
  { 'build-yml': buildYml, platform: wanted }: AttestationFlags,
): Promise<readonly string[]> {
  const { buildPackages, readAttestations } = await import('@lkt/pkg');
  const { parsePlatform } = await import('@lkt/oci');
  const platform = wanted === undefined ? undefined : parsePlatform(wanted);
  const { cwd } = session.environment;
  const file = await statOf(join(resolve(cwd, image), buildYml ?? 'build.yml'));
  if (file?.isFile() !== true) {
    const store = await session.findStore();
    if (store === undefined) throw new LktError('NOT_FOUND', `${image} is not in the store`);
    return (await readAttestations(store, image, kind, platform)).map(String);
  }
  const workspace = await workspaceAt(session, cwd, { buildYml });
  const target = await workspace.packageAt(image);
  const tools = await buildTools(session);
  const platforms = platform === undefined ? {} : { platforms: [platform] };
  const { packages } = await buildPackages(workspace, [target], { ...tools, ...platforms });
  const built = packages.find(({ item }) => item === target);
  if (built?.attestations === undefined) throw new Error(`${target.name} was not built`);
  const { readAttestation } = await import('@lkt/attest');
  const { index, images } = built.attestations;
  const first = platform === undefined ? index : images[0];
  if (first === undefined) throw new Error(`${target.name} has no image`);
  return [String(await readAttestation(tools.store, first[kind]))];
}
