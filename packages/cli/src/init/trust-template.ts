import type { CiIdentity } from './ci-identity.ts';

/** The signers of a new workspace. */
export interface NewTrust {
  /** Organization of the own packages. */
  readonly org: string;
  /** Registry of the collection, with the file of the public key that signed its images. */
  readonly registry: { readonly prefix: string; readonly keyFile: string } | undefined;
  /** File of the public key that signs own images; undefined without one. */
  readonly keyFile: string | undefined;
  /** The identity with which CI signs own images; undefined without one. */
  readonly identity: CiIdentity | undefined;
  /** File of the trusted root for the identity; undefined if it is not there yet. */
  readonly rootFile: string | undefined;
}

/** Returns the trust.yml of a new workspace. */
export function trustFile({ org, registry, keyFile, identity, rootFile }: NewTrust): string {
  const rules = [
    ...(registry === undefined
      ? []
      : [
          rule("Images of the collection's registry.", `${registry.prefix}/*`, [
            `keys: [${registry.keyFile}]`,
          ]),
        ]),
    ...(keyFile === undefined
      ? []
      : [
          rule(
            'Own images from elsewhere. Add the registry that you publish to: HOST/PREFIX/*',
            `${org}/*`,
            [`keys: [${keyFile}]`],
          ),
        ]),
    ...(identity === undefined
      ? []
      : [
          rule('Own images that CI signed as itself.', identity.images, [
            'identities:',
            `  - issuer: ${identity.issuer}`,
            `    subject: ${identity.subject}`,
          ]),
        ]),
  ];
  const signers = rules.length === 0 ? '' : `signers:\n${rules.join('')}`;
  const root = identity === undefined ? '' : rootLine(rootFile);
  return `# Images in image configs and Dockerfiles are built here, or signed as a rule says.
required: true
${root}${signers}`;
}

function rule(comment: string, pattern: string, signers: readonly string[]): string {
  return `  # ${comment}
  - images: ['${pattern}']
${signers.map((line) => `    ${line}\n`).join('')}`;
}

/** Without a trusted root, no signature by an identity counts. */
function rootLine(file: string | undefined): string {
  if (file !== undefined) return `trustedRoot: ${file}\n`;
  return `# Identities count once "lkt trust update" has written this file:
# trustedRoot: trusted_root.json
`;
}
