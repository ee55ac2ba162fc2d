import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { formatYaml, LktError, parseYaml } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { containerIds, mapReferences, type SystemConfig } from '../../src/config/config.ts';
import { goJson } from '../../src/go-json.ts';
import { imageDefaults } from '../../src/runtime/image-defaults.ts';
import { runtimeJson } from '../../src/runtime/runtime-json.ts';
import { mergeSettings } from '../../src/runtime/settings.ts';
import { containerSpec } from '../../src/runtime/spec.ts';
import { metadataOf } from '../../src/tree/metadata.ts';
import { parseExact } from './exact-json.ts';
import { parseConfig } from '../support.ts';
import { withoutIpcHost } from './ipc-host.ts';
import { withVolumeMounts } from './volume-mounts.ts';

const vectors =
  process.env['LKT_VECTORS'] ?? join(import.meta.dirname, '../../../../../shared/vectors');

interface Answer {
  readonly oci: never;
  readonly runtime: never;
}

interface Parsed {
  readonly source: string;
  readonly error?: string;
  readonly moby?: unknown;
  readonly metadataYaml?: string;
  readonly idMap?: Readonly<Record<string, number>>;
  readonly entries?: readonly {
    readonly section: 'onboot' | 'onshutdown' | 'services';
    readonly index: number;
    readonly bare: Answer;
    readonly withImageConfig: Answer;
    readonly pkgLabel?: string;
    readonly withPkgLabel?: Answer;
  }[];
}

const IMAGE_CONFIG: ContainerConfig = {
  Entrypoint: ['/entry', '-x'],
  Cmd: ['arg1', 'a<b>&c'],
  Env: ['PATH=/usr/bin:/bin', 'FOO=bar'],
  WorkingDir: '/work',
  User: '1000:1000',
};

/** Deliberate differences from LinuxKit. docs/linuxkit.md gives the reasons. */
const RULES = {
  /** `docker.io/redis` is `docker.io/library/redis`. */
  fullNames: (key: string, value: unknown): unknown =>
    typeof value === 'string' && (key === 'image' || /^\d+$/.test(key))
      ? value.replace(/^docker\.io\/([^/]+)$/, 'docker.io/library/$1')
      : value,
  /** Images of volumes have full names too. */
  volumeImages: (key: string, value: unknown): unknown =>
    key === 'image' && typeof value === 'string' && !value.includes('/') && value !== ''
      ? `docker.io/library/${value}`
      : value,
};

/** Adds package hashes, which LinuxKit took from its own checkout. */
function withPackages(config: SystemConfig, moby: unknown): SystemConfig {
  return mapReferences(config, (reference) => {
    const name = reference.packageDir?.replace(/^\.\/(?:pkg\/)?/, 'docker.io/linuxkit/');
    const full = new RegExp(`"(${name}:[^"]*)"`).exec(JSON.stringify(moby))?.[1];
    return name === undefined || full === undefined ? reference : { ...reference, full };
  });
}

// metadataScalars: YAML texts are not wrapped, and quotes may differ.
function ruledYaml(text: string): string {
  return formatYaml(ruled(parseYaml({ path: 'moby', text }).plain()));
}

function ruled(data: unknown): unknown {
  const text = JSON.stringify(data, (key, value: unknown) =>
    Object.values(RULES).reduce((last, rule) => rule(key, last), value),
  );
  return JSON.parse(text);
}

describe("LinuxKit's runtime specs", () => {
  for (const file of readdirSync(join(vectors, 'parsed'))) {
    it(basename(file, '.json').replaceAll('__', '/'), () => {
      const parsed = parseExact(readFileSync(join(vectors, 'parsed', file), 'utf8')) as Parsed;
      const path = join(vectors, 'yml', parsed.source);
      const source = { path, text: readFileSync(path, 'utf8') };
      if (parsed.error !== undefined) {
        expect(() => parseConfig(source)).toThrow(LktError);
        return;
      }
      const config = parseConfig(source);
      const ids = containerIds(config);
      expect(Object.fromEntries(ids)).toEqual(parsed.idMap ?? {});
      const named = withPackages(config, parsed.moby);
      expect(metadataOf(named, 'json')).toBe(goJson(ruled(parsed.moby) as never));
      expect(metadataOf(named, 'yaml')).toBe(ruledYaml(parsed.metadataYaml ?? ''));
      const volumes = new Map(config.volumes.map((volume) => [volume.name, volume]));
      for (const entry of parsed.entries ?? []) {
        const container = config[entry.section][entry.index];
        if (container === undefined) throw new Error('no such entry');
        const check = (image: ContainerConfig, answer: Answer): void => {
          const settings = mergeSettings(container.settings, imageDefaults('img', image));
          const spec = containerSpec(settings, { ids, volumes });
          // volumeMounts: volume names are resolved in `mounts` too, and bound.
          // ipcHost: init gives other containers an IPC namespace.
          expect(withoutIpcHost(spec)).toBe(withVolumeMounts(goJson(answer.oci), volumes.keys()));
          expect(runtimeJson(settings.runtime ?? {})).toBe(goJson(answer.runtime));
        };
        check({}, entry.bare);
        check(IMAGE_CONFIG, entry.withImageConfig);
        const { pkgLabel, withPkgLabel } = entry;
        if (pkgLabel !== undefined && withPkgLabel !== undefined) {
          const labels = { Labels: { 'org.mobyproject.config': pkgLabel } };
          check({ ...IMAGE_CONFIG, ...labels }, withPkgLabel);
        }
      }
    });
  }
});
