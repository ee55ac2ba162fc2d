import { readFileSync } from 'node:fs';
import { LktError } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { containerIds, type SystemConfig } from '../src/config/config.ts';
import { goJson } from '../src/go-json.ts';
import { imageDefaults } from '../src/runtime/image-defaults.ts';
import { runtimeJson } from '../src/runtime/runtime-json.ts';
import { mergeSettings } from '../src/runtime/settings.ts';
import { containerSpec } from '../src/runtime/spec.ts';
import { parseExact } from './exact-json.ts';
import { parseConfig } from './support.ts';

interface Case {
  readonly name: string;
  readonly yaml: string;
  readonly imageConfig?: ContainerConfig;
  readonly configToOCI?: {
    readonly oci?: unknown;
    readonly runtime?: unknown;
    readonly error?: string;
  };
  readonly error?: string;
  readonly ids?: Readonly<Record<string, number>>;
}

const cases = parseExact(
  readFileSync(new URL('fixtures/linuxkit-cases.json', import.meta.url), 'utf8'),
) as readonly Case[];

/** Where lkt is not as LinuxKit, on purpose: what it does instead. `docs/linuxkit.md` says why. */
const DIVERGENCES: Readonly<Record<string, { readonly error?: RegExp; readonly spec?: object }>> = {
  // A capability that the label and the image config both name appears once.
  'caps-add-label': {
    spec: { process: { capabilities: { effective: ['CAP_KILL', 'CAP_SYS_TIME', 'CAP_CHOWN'] } } },
  },
  // The keys that LinuxKit takes and then drops.
  'mount-idmap': {
    spec: {
      mounts: expect.arrayContaining([
        expect.objectContaining({
          destination: '/b',
          uidMappings: [{ containerID: 0, hostID: 1000, size: 10 }],
        }),
      ]) as unknown,
    },
  },
  idmappings: {
    spec: {
      linux: {
        uidMappings: [{ containerID: 0, hostID: 1000, size: 100 }],
        gidMappings: [{ containerID: 0, hostID: 1000, size: 100 }],
      },
    },
  },
  'resources-cpu': {
    spec: { linux: { resources: { cpu: { realtimeRuntime: 1, realtimePeriod: 2 } } } },
  },
  'resources-blockio': {
    spec: {
      linux: {
        resources: {
          blockIO: {
            weight: 10,
            leafWeight: 11,
            weightDevice: [{ major: 8, minor: 0, weight: 500, leafWeight: 300 }],
            throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
          },
        },
      },
    },
  },
  // The name of a volume is resolved wherever it stands.
  'vol-mount': { spec: volumeMount(['rw', 'bind']) },
  'vol-label-bind': { spec: volumeMount(['rw', 'rbind', 'rshared']) },
  // "ro" may stand beside other options.
  'vol-bind-ro-opts': { spec: volumeMount(['ro', 'rshared', 'rbind'], 'volro') },
  // Refused where LinuxKit takes something else than what is written.
  'uid-negative': { error: /-1 is not an id/ },
  'anchors-merge': { error: /aliases are not allowed/ },
  'multi-doc': { error: /Source contains multiple documents/ },
  'bad-ref': { error: /"UPPER\/Case:x" is not an image reference/ },
};

describe("LinuxKit's cases", () => {
  for (const item of cases) {
    it(item.name, () => {
      const divergence = DIVERGENCES[item.name];
      const { configToOCI } = item;
      if (divergence?.error !== undefined) {
        expect(() => run(item)).toThrow(divergence.error);
      } else if (divergence?.spec !== undefined) {
        expect(run(item).spec).toMatchObject(divergence.spec);
      } else if (item.error !== undefined || configToOCI?.error !== undefined) {
        expect(() => run(item)).toThrow(LktError);
        expect(() => run(item)).toThrow(/^(?:linuxkit\.yml|label \S+ of img):\d+:\d+: /);
      } else if (configToOCI === undefined) {
        parseConfig({ path: 'linuxkit.yml', text: item.yaml });
      } else {
        const { ids, specText, runtimeText } = run(item);
        expect(ids).toEqual(item.ids ?? {});
        expect(specText).toBe(goJson(configToOCI.oci as never));
        expect(runtimeText).toBe(goJson(configToOCI.runtime as never));
      }
    });
  }
});

/** LinuxKit's answer is that for the last container. */
function run(item: Case): {
  ids: Record<string, number>;
  spec: unknown;
  specText: string;
  runtimeText: string;
} {
  const config = parseConfig({ path: 'linuxkit.yml', text: item.yaml });
  const container = lastContainer(config);
  const ids = containerIds(config);
  if (container === undefined) throw new Error('no container');
  const settings = mergeSettings(container.settings, imageDefaults('img', item.imageConfig ?? {}));
  const volumes = new Map(config.volumes.map((volume) => [volume.name, volume]));
  const specText = containerSpec(settings, { ids, volumes });
  return {
    ids: Object.fromEntries(ids),
    spec: JSON.parse(specText),
    specText,
    runtimeText: runtimeJson(settings.runtime ?? {}),
  };
}

function lastContainer(config: SystemConfig): SystemConfig['services'][number] | undefined {
  return [...config.onboot, ...config.onshutdown, ...config.services].at(-1);
}

function volumeMount(options: readonly string[], name = 'vola'): object {
  return {
    mounts: expect.arrayContaining([
      {
        destination: '/data',
        type: 'bind',
        source: `/containers/volumes/${name}/merged`,
        options,
      },
    ]) as unknown,
  };
}
