import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseYaml } from '@lkt/core';
import { Ajv, type AnySchema } from 'ajv';
import { expect, test } from 'vitest';

// Cluster API publishes its schemas in no npm package. These are the fields of its resources
// (cluster.x-k8s.io/v1beta2, and AWSMachineTemplate v1beta2) that a user writes, with their rules.
const NAME = { type: 'string', pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$', maxLength: 253 };
const CLUSTER = { type: 'string', minLength: 1, maxLength: 63 };
const SECONDS = { type: 'integer', minimum: 0 };
const COUNT = { anyOf: [SECONDS, { type: 'string', pattern: '^(100|[0-9]{1,2})%$' }] };
const LABELS = { type: 'object', additionalProperties: { type: 'string', maxLength: 63 } };
const TEXT = { type: 'string', minLength: 1 };

/** An object with these fields and no others. */
function object(fields: object, required: readonly string[] = []): AnySchema {
  return { type: 'object', properties: fields, required, additionalProperties: false };
}

const METADATA = object({ name: NAME, namespace: NAME, labels: LABELS }, ['name']);
const SELECTOR = object({ matchLabels: LABELS }, ['matchLabels']);
const REFERENCE = object(
  { apiGroup: { type: 'string', pattern: '^[a-z0-9.-]+$' }, kind: TEXT, name: NAME },
  ['apiGroup', 'kind', 'name'],
);

function resource(apiVersion: string, kind: string, spec: AnySchema): AnySchema {
  const fields = {
    apiVersion: { const: apiVersion },
    kind: { const: kind },
    metadata: METADATA,
    spec,
  };
  return object(fields, ['apiVersion', 'kind', 'metadata', 'spec']);
}

const AWS_MACHINE = object(
  {
    ami: object({ id: { type: 'string', pattern: '^ami-[0-9a-f]{8,17}$' } }),
    instanceType: { type: 'string', minLength: 2 },
    iamInstanceProfile: TEXT,
    instanceMetadataOptions: object({
      httpEndpoint: { enum: ['enabled', 'disabled'] },
      httpTokens: { enum: ['optional', 'required'] },
      httpPutResponseHopLimit: { type: 'integer', minimum: 1, maximum: 64 },
      instanceMetadataTags: { enum: ['enabled', 'disabled'] },
    }),
    uncompressedUserData: { type: 'boolean' },
    cloudInit: object({ insecureSkipSecretsManager: { type: 'boolean' } }),
    sshKeyName: { type: 'string' },
    publicIP: { type: 'boolean' },
  },
  ['instanceType'],
);

const MACHINE = object(
  {
    clusterName: CLUSTER,
    version: { type: 'string', minLength: 1, maxLength: 256 },
    bootstrap: object({ configRef: REFERENCE, dataSecretName: NAME }),
    infrastructureRef: REFERENCE,
    failureDomain: TEXT,
    minReadySeconds: SECONDS,
    deletion: object({
      nodeDrainTimeoutSeconds: SECONDS,
      nodeVolumeDetachTimeoutSeconds: SECONDS,
      nodeDeletionTimeoutSeconds: SECONDS,
    }),
  },
  ['clusterName', 'bootstrap', 'infrastructureRef'],
);

const SCHEMAS = [
  resource(
    'infrastructure.cluster.x-k8s.io/v1beta2',
    'AWSMachineTemplate',
    object({ template: object({ spec: AWS_MACHINE }, ['spec']) }, ['template']),
  ),
  resource(
    'cluster.x-k8s.io/v1beta2',
    'MachineDeployment',
    object(
      {
        clusterName: CLUSTER,
        replicas: SECONDS,
        selector: SELECTOR,
        paused: { type: 'boolean' },
        rollout: object({
          after: { type: 'string', pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$` },
          strategy: object(
            {
              type: { enum: ['RollingUpdate', 'OnDelete'] },
              rollingUpdate: object({ maxSurge: COUNT, maxUnavailable: COUNT }),
            },
            ['type'],
          ),
        }),
        template: object({ metadata: object({ labels: LABELS }), spec: MACHINE }, ['spec']),
      },
      ['clusterName', 'selector', 'template'],
    ),
  ),
  resource(
    'cluster.x-k8s.io/v1beta2',
    'MachineHealthCheck',
    object(
      {
        clusterName: CLUSTER,
        selector: SELECTOR,
        checks: object({
          nodeStartupTimeoutSeconds: SECONDS,
          unhealthyNodeConditions: {
            type: 'array',
            minItems: 1,
            maxItems: 100,
            items: object(
              {
                type: TEXT,
                status: { enum: ['True', 'False', 'Unknown'] },
                timeoutSeconds: SECONDS,
              },
              ['type', 'status', 'timeoutSeconds'],
            ),
          },
        }),
        remediation: object({
          triggerIf: object({
            unhealthyLessThanOrEqualTo: COUNT,
            unhealthyInRange: { type: 'string', pattern: String.raw`^\[[0-9]+-[0-9]+\]$` },
          }),
        }),
      },
      ['clusterName', 'selector'],
    ),
  ),
];

interface Manifest {
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

const file = join(import.meta.dirname, '../../../../docs/fleet/cluster-api.yml');
const manifests = readFileSync(file, 'utf8')
  .split(/^---$/m)
  .map((text) => parseYaml({ path: 'cluster-api.yml', text }).plain() as Manifest);
const ajv = new Ajv();
const validators = SCHEMAS.map((schema) => ajv.compile(schema));

test("follows the rules of Cluster API's resources", () => {
  expect(manifests).toHaveLength(SCHEMAS.length);
  for (const [index, validate] of validators.entries()) {
    expect([validate(manifests[index]), validate.errors]).toEqual([true, null]);
  }
});

test('fits together', () => {
  const [template, deployment, check] = manifests;
  const {
    selector,
    clusterName,
    template: machine,
  } = (deployment?.spec ?? {}) as {
    selector: { matchLabels: object };
    clusterName: string;
    template: {
      metadata: { labels: object };
      spec: { clusterName: string; infrastructureRef: { name: string } };
    };
  };
  expect(machine.spec.infrastructureRef.name).toBe(template?.metadata.name);
  expect(machine.metadata.labels).toEqual(selector.matchLabels);
  expect(machine.spec.clusterName).toBe(clusterName);
  expect(check?.spec).toMatchObject({ clusterName, selector });
});

test.for<[string, number, object]>([
  ['an unknown field', 1, { strategy: { type: 'RollingUpdate' } }],
  ['a strategy of an earlier version', 1, { rollout: { strategy: { type: 'Recreate' } } }],
  [
    'a count that is no percentage',
    2,
    { remediation: { triggerIf: { unhealthyLessThanOrEqualTo: '40' } } },
  ],
  ['a template without a type', 0, { template: { spec: { ami: { id: 'ami-00000000' } } } }],
])('is rejected with %s', ([, index, change]) => {
  const manifest = manifests[index];
  const wrong = { ...manifest, spec: { ...manifest?.spec, ...change } };
  expect(validators[index]?.(wrong)).toBe(false);
});
