/** The signers of a new workspace. */
export interface NewTrust {
  /** Organization of the own packages. */
  readonly org: string;
  /** Registry of the collection, with the file of the public key that signed its images. */
  readonly registry: { readonly prefix: string; readonly keyFile: string } | undefined;
  /** File of the public key that signs own images; undefined without one. */
  readonly keyFile: string | undefined;
  /** `OWNER/REPOSITORY` on GitHub, whose CI may sign. */
  readonly github: string | undefined;
}

/** Returns the trust.yml of a new workspace. */
export function trustFile({ org, registry, keyFile, github }: NewTrust): string {
  const rules = [
    ...(registry === undefined
      ? []
      : [rule("Images of the collection's registry.", `${registry.prefix}/*`, registry.keyFile)]),
    ...(keyFile === undefined
      ? []
      : [
          rule(
            'Own images from elsewhere. Add the registry that you publish to: HOST/PREFIX/*',
            `${org}/*`,
            keyFile,
          ),
        ]),
  ];
  const signers = rules.length === 0 ? '' : `signers:\n${rules.join('')}`;
  const ci = github === undefined ? '' : identityOf(github);
  return `# Images in image configs and Dockerfiles are built here, or signed as a rule says.
required: true
${signers}${ci}`;
}

function rule(comment: string, pattern: string, key: string): string {
  return `  # ${comment}
  - images: ['${pattern}']
    keys: [${key}]
`;
}

/** CI signs as itself, without a key. The trusted root has to be fetched first. */
function identityOf(github: string): string {
  const [owner = ''] = github.toLowerCase().split('/');
  return `# To accept what CI signs, run "lkt trust update" and uncomment:
# trustedRoot: trusted_root.json
# signers:
#   - images: ['ghcr.io/${owner}/*']
#     identities:
#       - issuer: https://token.actions.githubusercontent.com
#         subject: https://github.com/${github}/.github/workflows/publish.yml@refs/heads/main
`;
}
