import { LktError, mapConcurrent } from '@lkt/core';
import type { ImageReport } from '@lkt/image';
import type { TrustPolicy } from '@lkt/sign';
import { LktCommand } from '../command.ts';
import {
  type FlagValues,
  listFlag,
  requiredArgs,
  switchFlag,
  valueFlag,
} from '../flags/options.ts';
import { packageFlags, targetFlags } from '../flags/package.ts';
import { pullFlags } from '../flags/registry.ts';
import { printable } from '../output/printable.ts';
import type { Session } from '../session/session.ts';
import { givenRoot } from '../session/trust.ts';

/** Verification mostly waits for the registry. */
const TARGETS_AT_ONCE = 8;

export class Verify extends LktCommand {
  static override summary = 'Verify the signatures and attestations of images';
  static override description = `Verifies signatures with their certificates, log entries and timestamps, and attestations: provenance, SBOMs, rebuilds. Prints the verified digests. Stops at sufficient signatures, unless --all is given.

The required signers come from --key, or --identity and --issuer; otherwise from --trust, trust.yml, and "trust" of the config. Asks the registry if the signatures in the store do not suffice.`;
  static override examples = [
    '<%= config.bin %> verify --key cosign.pub registry.example/team/sshd:1',
    '<%= config.bin %> verify --offline --trusted-root trusted_root.json --issuer https://token.actions.githubusercontent.com --identity https://github.com/lkt/lkt/.github/workflows/release.yml@refs/heads/main pkg/sshd',
    '<%= config.bin %> verify examples/sshd.yml',
  ];
  static override args = {
    target: requiredArgs(
      'an image by digest or by a tag of its registry, a package directory, or an image config, for every image it pins',
    ),
  };
  static override flags = {
    ...packageFlags,
    ...pullFlags,
    all: switchFlag('list every signature and attestation'),
    identity: valueFlag('SUBJECT', 'required signer, exactly as named in the certificate', {
      aliases: ['certificate-identity'],
      dependsOn: ['issuer'],
    }),
    issuer: valueFlag('URL', 'OpenID Connect provider of --identity', {
      aliases: ['certificate-oidc-issuer'],
      dependsOn: ['identity'],
    }),
    key: listFlag('FILE', 'required public key: a file, or env://NAME; any one suffices'),
    local: switchFlag('take tags from the store instead of the registry'),
    org: targetFlags.org,
  };

  async run(): Promise<{ images: readonly ImageReport[] }> {
    const { args, flags } = await this.parse(Verify);
    const session = await this.begin(flags);
    const only = await policyOf(session, flags);
    const { TargetVerifier } = await import('../targets/target-verifier.ts');
    const verifier = new TargetVerifier(session, flags, only);
    const reports = await mapConcurrent(args.target, async (target) => verifier.verify(target), {
      concurrency: TARGETS_AT_ONCE,
      signal: session.signal,
    });
    const images = reports.flat();
    this.endProgress();
    const { reportLines } = await import('../output/verify-report.ts');
    for (const image of images) this.log(printable(reportLines(image).join('\n')));
    const refused = images.filter(({ accepted }) => !accepted);
    const [first] = refused;
    if (first === undefined) return { images };
    const message =
      images.length === 1
        ? `${first.reference} is not trusted: ${first.reasons[0] ?? ''}`
        : `${refused.length} of ${images.length} images are not trusted`;
    throw new LktError('SIGNATURE_INVALID', message, {
      detail:
        images.length === 1
          ? undefined
          : refused
              .map(({ reference, reasons: [why = ''] }) => `  ${reference}: ${why}`)
              .join('\n'),
      report: { images },
      fix: 'use signed images instead',
    });
  }
}

/** Returns the trust policy given on the command line; undefined if its flags name no signer. */
async function policyOf(
  session: Session,
  flags: FlagValues<typeof Verify.flags>,
): Promise<TrustPolicy | undefined> {
  const { key = [], identity, issuer } = flags;
  if (key.length === 0 && identity === undefined) return undefined;
  const given = key.length === 0 ? '--identity' : '--key';
  if ((flags.trust ?? []).length > 0)
    throw new LktError('USAGE_INVALID', `${given} and --trust exclude each other`, {
      fix: 'write the key or identity into the policy',
    });
  const { parseImagePattern, readPublicKey } = await import('@lkt/sign');
  const { cwd, variables: env } = session.environment;
  const keys = await Promise.all(key.map(async (source) => readPublicKey(source, { cwd, env })));
  const root = await givenRoot(session, flags);
  if (identity !== undefined && root === undefined)
    throw new LktError('USAGE_INVALID', 'a trusted root is needed to verify certificates', {
      fix: 'save the one of your Sigstore instance, for example with `cosign trusted-root create`, and name it: --trusted-root FILE',
    });
  const identities =
    identity === undefined || issuer === undefined ? [] : [{ subject: identity, issuer }];
  return {
    name: given,
    required: [],
    unsigned: [],
    rules: [
      {
        name: given,
        images: [parseImagePattern('**')],
        signers: { threshold: 1, keys, identities },
      },
    ],
    root,
  };
}
