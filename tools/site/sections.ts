interface Section {
  readonly text: string;
  readonly pages: readonly string[];
}

/**
 * The pages of the documentation by what they are for, as https://diataxis.fr names the kinds: paths
 * below docs/ without `.md`. Every page of docs/ has one place; a test compares.
 */
export const SECTIONS: readonly Section[] = [
  { text: 'Tutorial', pages: ['tutorial'] },
  {
    text: 'How to',
    pages: [
      'howto/package',
      'howto/ssh',
      'howto/update',
      'howto/publish',
      'howto/netboot',
      'howto/cloud-disk',
      'howto/debug-boot',
      'howto/arm64',
      'fleet',
      'linuxkit',
      'ci/README',
      'nx',
    ],
  },
  {
    text: 'Reference',
    pages: [
      'cli',
      'image-yml',
      'tests',
      'build-yml',
      'dockerfile',
      'workspace',
      'formats',
      'registries',
      'server',
      'progress',
      'errors',
      'inspect',
      'graph',
      'vulns',
      'audit',
      'logs',
      'packages/README',
      'benchmarks',
      'glossary',
    ],
  },
  {
    text: 'Explanation',
    pages: [
      'builder',
      'rebuild-check',
      'guest',
      'kernel',
      'trust',
      'attestations',
      'security',
      'attack',
      'architecture',
      'style',
    ],
  },
];
