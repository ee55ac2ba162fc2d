import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EC2NodeClass } from '@kubernetes-models/karpenter/karpenter.k8s.aws/v1/EC2NodeClass';
import { NodePool } from '@kubernetes-models/karpenter/karpenter.sh/v1/NodePool';
import { parseYaml } from '@lkt/core';
import { expect, test } from 'vitest';

const file = join(import.meta.dirname, '../../../../docs/fleet/karpenter.yml');
const [nodeClass, pool] = readFileSync(file, 'utf8')
  .split(/^---$/m)
  .map((text) => parseYaml({ path: 'karpenter.yml', text }).plain() as Record<string, unknown>);

test("follows the schemas of Karpenter's resources", () => {
  expect(nodeClass?.['kind']).toBe('EC2NodeClass');
  expect(pool?.['kind']).toBe('NodePool');
  new EC2NodeClass(nodeClass).validate();
  new NodePool(pool as never).validate();
});

test('is rejected with a value that is unknown to Karpenter', () => {
  const spec = { ...(nodeClass?.['spec'] as object), amiFamily: 'lkt' };
  expect(() => new EC2NodeClass({ ...nodeClass, spec } as never).validate()).toThrow(/amiFamily/);
  const disruption = { consolidationPolicy: 'Sometimes', consolidateAfter: '1h' };
  const wrong = { ...(pool?.['spec'] as object), disruption };
  expect(() => new NodePool({ ...pool, spec: wrong } as never).validate()).toThrow(
    /consolidationPolicy/,
  );
});
