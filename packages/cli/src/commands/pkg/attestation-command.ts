import { join, resolve } from 'node:path';
import { type Digest, LktError } from '@lkt/core';
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
    convert: (text: string) => Promise<string> = asStored,
  ): Promise<readonly unknown[]> {
    const session = await this.begin(flags);
    const { isContentError, parseDocument } = await import('@lkt/pkg');
    const found: { readonly text: string; readonly document: unknown }[] = [];
    const failures: LktError[] = [];
    for (const { digest, read } of await documentsOf(session, kind, image, flags))
      try {
        const bytes = await read();
        const document = parseDocument(bytes);
        const text = await convert(bytes.toString());
        found.push({
          text,
          document: convert === asStored ? document : parseDocument(Buffer.from(text)),
        });
      } catch (error) {
        if (!isContentError(error)) throw error;
        const message = `cannot read ${digest} beside ${image}: ${error.message}`;
        failures.push(new LktError(error.code, message, { cause: error }));
      }
    const [failure] = failures;
    // Others may have attached it, and it hides no other.
    if (failure !== undefined && found.length === 0) throw failure;
    for (const { message: text } of failures) session.reporter.emit({ kind: 'warning', text });
    this.endProgress();
    for (const { text } of found) this.log(text);
    return found.map(({ document }) => document);
  }
}

async function asStored(text: string): Promise<string> {
  return text;
}

async function documentsOf(
  session: Session,
  kind: Kind,
  image: string,
  { 'build-yml': buildYml, platform: wanted }: AttestationFlags,
): Promise<readonly { readonly digest: Digest; readonly read: () => Promise<Buffer> }[]> {
  const { buildPackages, storedAttestations } = await import('@lkt/pkg');
  const { parsePlatform } = await import('@lkt/oci');
  const platform = wanted === undefined ? undefined : parsePlatform(wanted);
  const { cwd } = session.environment;
  const file = await statOf(join(resolve(cwd, image), buildYml ?? 'build.yml'));
  if (file?.isFile() !== true) {
    const store = await session.findStore();
    if (store === undefined) throw new LktError('NOT_FOUND', `${image} is not in the store`);
    return storedAttestations(store, image, kind, platform);
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
  const { [kind]: referrer } = first;
  return [{ digest: referrer.digest, read: async () => readAttestation(tools.store, referrer) }];
}
