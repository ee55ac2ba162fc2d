import { expect, test } from 'vitest';
import { evaluate } from '../src/evaluate.ts';
import { AdvisoryIndex } from '../src/match.ts';
import { sarifOf } from '../src/sarif.ts';
import { parseSbom } from '../src/sbom.ts';

const PURL = 'pkg:golang/golang.org/x/sys@v0.22.0';

test('returns a rule per vulnerability and a result per target', () => {
  const index = new AdvisoryIndex();
  const affected = [
    { ecosystem: 'go', name: 'golang.org/x/sys', ranges: [{ fixed: '0.23.0' }], versions: [] },
  ] as const;
  index.add({ id: 'CVE-2026-1', aliases: [], summary: 'a flaw', severity: 'high', affected });
  const { packages } = parseSbom(
    { bomFormat: 'CycloneDX', components: [{ purl: PURL }] },
    'sbom.json',
  );
  const reason = 'the code is not reached';
  const products = [{ ids: ['pkg:oci/sshd'], subcomponents: undefined }];
  const statement = {
    ids: ['CVE-2026-1'],
    products,
    status: 'not_affected',
    reason,
    time: 0,
  } as const;
  const subjects = [
    { name: 'examples/my image.yml', images: [], packages },
    { name: 'pkg/sshd', images: ['pkg:oci/sshd@sha256%3Aaa'], packages },
  ];
  const log = sarifOf(evaluate(subjects, index, [statement]), '1.2.3');
  expect(log).toMatchObject({
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'lkt',
            version: '1.2.3',
            rules: [{ id: 'CVE-2026-1', shortDescription: { text: 'a flaw' } }],
          },
        },
        results: [
          {
            ruleId: 'CVE-2026-1',
            ruleIndex: 0,
            level: 'error',
            message: { text: 'golang.org/x/sys v0.22.0 has CVE-2026-1: fixed in 0.23.0' },
            locations: [
              { physicalLocation: { artifactLocation: { uri: 'examples/my%20image.yml' } } },
            ],
            suppressions: undefined,
          },
          { suppressions: [{ kind: 'external', justification: 'the code is not reached' }] },
        ],
      },
    ],
  });
});
