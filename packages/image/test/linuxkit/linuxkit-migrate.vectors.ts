import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, silentReporter } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageReferencesOf, type SystemConfig } from '../../src/config/config.ts';
import { ImageCaches } from '../../src/image-caches.ts';
import { type MigratedConfig, migrateConfig } from '../../src/migrate/migrate-config.ts';
import { planConfig } from '../../src/plan.ts';
import { parseConfig } from '../support.ts';

const vectors =
  process.env['LKT_VECTORS'] ?? join(import.meta.dirname, '../../../../../shared/vectors');
const root = join(vectors, 'yml');
const files = globSync('**/*.{yml,yaml}', { cwd: root }).toSorted();

/** Files that LinuxKit rejects too. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'examples/static-ip.yml': /:27:1: All mapping items must start at the same column/,
  'projects/clear-containers/clear-containers.yml': /:10:5: services\[0\]: "image" is missing/,
  'projects/miragesdk/yaml/dhcp-client.yml': /:45:1: Unexpected scalar at node end/,
  'test/cases/000_build/091_validate_linuxkit_yaml/linuxkit.yml': /:1:1: unknown key/,
};

/** Images of LinuxKit without a successor, in these files; the others need only lkt's. */
const KEPT: readonly (readonly [RegExp, readonly string[]])[] = [
  [/examples\/tpm/, ['tss']],
  [/vpnkit-forwarder/, ['vpnkit-forwarder']],
  [/050_sbom/, ['sbom_package1', 'sbom_package2']],
  [/020_kernel\/\d+_config|test\/hack/, ['test-kernel-config']],
  [/200_namespace\/\d/, ['test-ns']],
  [/docker-bench/, ['test-docker-bench']],
  [/002_bcc/, ['kernel-bcc']],
  [/002_bpftrace/, ['bpftrace']],
  [/011_kmsg/, ['kmsg']],
  [/013_mkimage/, ['mkimage']],
];

let dir: string;
let store: Store;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lkt-migrate-'));
  cpSync(join(vectors, 'stub-cache'), join(dir, 'store'), { recursive: true });
  store = await openStore(join(dir, 'store'));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function migrate(name: string, text = readFileSync(join(root, name), 'utf8')): MigratedConfig {
  const options = { kernel: 'lkt/kernel-debian', isPackage: () => false };
  return migrateConfig({ path: name, text }, options);
}

/** Returns the packages of LinuxKit that a config still names. */
function keptIn(config: SystemConfig): readonly string[] {
  const names = imageReferencesOf(config).flatMap(({ reference }) =>
    reference?.domain === 'docker.io' && reference.path.startsWith('linuxkit/')
      ? [reference.path.slice('linuxkit/'.length)]
      : [],
  );
  return [...new Set(names)].toSorted();
}

/** Composes a config, with stubs in place of its images. */
async function compose(config: SystemConfig): Promise<void> {
  const tags = await store.tags();
  const digestOf = (name: string): Digest => {
    const found = tags.find(({ reference }) => reference.includes(name));
    if (found === undefined) throw new Error(`no stub ${name}`);
    return found.descriptor.digest;
  };
  await using caches = new ImageCaches(store, { reporter: silentReporter });
  const platform = { os: 'linux', architecture: 'amd64' };
  await planConfig(config, { store, platform, caches }, async ({ at }) =>
    digestOf(at.path === 'kernel.image' ? '/linuxkit/kernel:' : '/linuxkit/init:'),
  );
}

describe("LinuxKit's configs, rewritten for lkt", () => {
  for (const name of files) {
    it(name, async () => {
      const refused = REFUSED[name];
      if (refused !== undefined) {
        expect(() => migrate(name)).toThrow(refused);
        return;
      }
      const { text } = migrate(name);
      expect(migrate(name, text)).toMatchObject({ text, changes: [] });
      const config = parseConfig({ path: name, text });
      expect(keptIn(config)).toEqual(KEPT.find(([pattern]) => pattern.test(name))?.[1] ?? []);
      if (config.init.length > 0 && /image: lkt\/modprobe$/m.test(text))
        expect(text).toMatch(/^ +- lkt\/kernel-debian-modules$/m);
      for (const { text: from, reference } of imageReferencesOf(config))
        if (reference !== undefined && !from.startsWith('lkt/'))
          expect(reference.domain).toBeDefined();
      await compose({
        ...config,
        files: config.files.filter(({ content }) => content.kind !== 'source'),
      });
    });
  }
});
