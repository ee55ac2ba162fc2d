import { type CommonFlags, LktCommand } from '../../command.ts';
import { requiredArg, valueFlag } from '../../flags/options.ts';
import { packageFlags } from '../../flags/package.ts';
import { attestationsOf, type WantedAttestation } from '../../output/show-attestation.ts';

export const attestationArgs = {
  image: requiredArg('package directory (built if needed), or an image in the store'),
};

export const attestationFlags = {
  ...packageFlags,
  platform: valueFlag('linux/amd64', 'platform of the image; default: all platforms'),
};

interface AttestationFlags extends CommonFlags {
  readonly 'build-yml'?: string | undefined;
  readonly platform?: string | undefined;
}

/** Base of the commands that print the documents beside an image. */
export abstract class AttestationCommand extends LktCommand {
  /** Prints the documents of an image and returns them parsed. */
  protected async show(
    kind: WantedAttestation['kind'],
    image: string,
    flags: AttestationFlags,
  ): Promise<readonly unknown[]> {
    const session = await this.begin(flags);
    const { 'build-yml': buildYml, platform } = flags;
    const texts = await attestationsOf(session, { kind, image, buildYml, platform });
    this.endProgress();
    for (const text of texts) this.log(text);
    return texts.map((text) => JSON.parse(text) as unknown);
  }
}
