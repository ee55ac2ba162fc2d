import { readFileSync } from 'node:fs';
import { LktError } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { containerIds, type SystemConfig } from '../../src/config/config.ts';
import { goJson } from '../../src/go-json.ts';
import { imageDefaults } from '../../src/runtime/image-defaults.ts';
import { runtimeJson } from '../../src/runtime/runtime-json.ts';
import { mergeSettings } from '../../src/runtime/settings.ts';
import { containerSpec } from '../../src/runtime/spec.ts';
import { parseExact } from './exact-json.ts';
import { withoutIpcHost } from './ipc-host.ts';
import { parseConfig } from '../support.ts';

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
  readFileSync(new URL('../fixtures/linuxkit-cases.json', import.meta.url), 'utf8'),
) as readonly Case[];

interface Divergence {
  /** Name in docs/linuxkit.md, which gives the reason. */
  readonly rule: string;
  readonly error?: RegExp;
  readonly spec?: object;
}

/** Deliberate differences from LinuxKit, with lkt's result. */
const DIVERGENCES: Readonly<Record<string, Divergence>> = {
  // A capability in both the label and the image config appears once.
  'caps-add-label': {
    rule: 'onceOnly',
    spec: { process: { capabilities: { effective: ['CAP_KILL', 'CAP_SYS_TIME', 'CAP_CHOWN'] } } },
  },
  // Keys that LinuxKit accepts and ignores.
  'mount-idmap': {
    rule: 'camelCase',
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
    rule: 'camelCase',
    spec: {
      linux: {
        uidMappings: [{ containerID: 0, hostID: 1000, size: 100 }],
        gidMappings: [{ containerID: 0, hostID: 1000, size: 100 }],
      },
    },
  },
  'resources-cpu': {
    rule: 'camelCase',
    spec: { linux: { resources: { cpu: { realtimeRuntime: 1, realtimePeriod: 2 } } } },
  },
  'resources-blockio': {
    rule: 'camelCase',
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
  // Volume names are resolved in every mount.
  'vol-mount': { rule: 'volumeMounts', spec: volumeMount(['rw', 'bind']) },
  'vol-label-bind': { rule: 'volumeMounts', spec: volumeMount(['rw', 'rbind', 'rshared']) },
  // "ro" may be combined with other options.
  'vol-bind-ro-opts': {
    rule: 'volumeOptions',
    spec: volumeMount(['ro', 'rshared', 'rbind'], 'volro'),
  },
  // Rejected where LinuxKit reads something other than written.
  'uid-negative': { rule: 'refused', error: /-1 is not an id/ },
  'anchors-merge': { rule: 'refused', error: /aliases are not allowed/ },
  'multi-doc': { rule: 'refused', error: /Source contains multiple documents/ },
  'ns-ipc-none': { rule: 'refused', error: /"none" is neither a namespace nor a path/ },
  'bad-ref': { rule: 'refused', error: /"UPPER\/Case:x" is not an image reference/ },
};

it('every rule is documented in docs/linuxkit.md', () => {
  const text = readFileSync(new URL('../../../../docs/linuxkit.md', import.meta.url), 'utf8');
  const vectors = ['linuxkit-golden', 'linuxkit-parsed'].map((name) =>
    readFileSync(new URL(`${name}.vectors.ts`, import.meta.url), 'utf8'),
  );
  // Keys of RULES, and comments that begin with the name of a rule.
  const others = vectors.flatMap((source) => [
    ...source.matchAll(/^ {2}([a-z]+[A-Z][A-Za-z]+): \((?:entry|key)/gm),
    ...source.matchAll(/^ *\/\/ ([a-z]+(?:[- ]?[a-zA-Z]+)?): /gm),
  ]);
  const names = new Set([
    ...Object.values(DIVERGENCES).map(({ rule }) => rule),
    ...others.map((match) => match[1] ?? ''),
  ]);
  expect(names.size).toBeGreaterThan(12);
  for (const name of names) expect(text).toContain(`\`${name}\``);
});

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
        // ipcHost: init gives other containers an IPC namespace.
        expect(withoutIpcHost(specText)).toBe(goJson(configToOCI.oci as never));
        expect(runtimeText).toBe(goJson(configToOCI.runtime as never));
      }
    });
  }
});

it('binds a volume of `mounts` without an option', () => {
  expect(withMountOfVolume('')).toMatchObject(volumeMount(['bind']));
  expect(withMountOfVolume(', options: [ro]')).toMatchObject(volumeMount(['bind', 'ro']));
  expect(withMountOfVolume(', options: [rbind]')).toMatchObject(volumeMount(['rbind']));
});

/** LinuxKit's result is that of the last container. */
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

function withMountOfVolume(options: string): unknown {
  const mount = `{type: bind, source: vola, destination: /data${options}}`;
  const yaml = `services: [{name: svc, image: "img:1", mounts: [${mount}]}]\nvolumes: [{name: vola}]`;
  return run({ name: 'mount', yaml }).spec;
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
