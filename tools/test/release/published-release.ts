import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generateKey } from '@lkt/sign';
import { NpmRegistry, REGISTRY } from './npm-registry.ts';
import { copyTagged } from './tagged-checkout.ts';

const root = join(import.meta.dirname, '../../..');
const modules = join(root, 'node_modules');

/** The policy of the collection. */
const POLICY = `required: true
signers: [{ images: ['lkt/*'], keys: [keys/release.pub] }]
`;

/**
 * The npm packages of this checkout in a registry of their own, and a user with an empty home, with
 * the system's Node and npm, who reaches nothing else.
 */
export class PublishedRelease implements AsyncDisposable {
  readonly registry: NpmRegistry;
  /** Environment of the user. */
  readonly user: Readonly<Record<'HOME' | 'PATH', string>> & Readonly<Record<string, string>>;
  /** The private key that signs images as the policy of the published collection requires. */
  readonly key: string;
  /** Builds and publishes the packages. Returns the output. */
  readonly release: () => string;

  private constructor(
    registry: NpmRegistry,
    user: PublishedRelease['user'],
    key: string,
    release: PublishedRelease['release'],
  ) {
    this.registry = registry;
    this.user = user;
    this.key = key;
    this.release = release;
  }

  /**
   * Starts the registry, with the packages that the release depends on.
   * @param work an empty directory for all files: `home` is the user's, `packed` has the tarballs
   */
  static async prepare(work: string, version: string): Promise<PublishedRelease> {
    const at = (path: string): string => join(work, path);
    const checkout = at('checkout');
    const path = (process.env['PATH'] ?? '').split(':');
    const user = {
      PATH: path.filter((one) => !one.includes('node_modules')).join(':'),
      HOME: at('home'),
      NO_COLOR: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      npm_config_loglevel: 'error',
      npm_config_update_notifier: 'false',
    };
    write(at('home/.npmrc'), npmrc(join(user.HOME, '.local')));
    // Publishing needs a token, though this registry asks for none.
    const token = `${REGISTRY.slice(5)}/:_authToken=none\n`;
    write(at('publisher/.npmrc'), `${npmrc(at('publisher'))}${token}`);
    const registry = await NpmRegistry.start(at('registry'));
    copyTagged(checkout, version);
    const env = {
      ...user,
      HOME: at('publisher'),
      GITHUB_SERVER_URL: 'https://git.example',
      GITHUB_REPOSITORY: 'acme/lkt',
    };
    const publish = (directory: string): unknown => {
      const words = ['publish', '--ignore-scripts', directory];
      try {
        return registry.run(env, checkout, 'npm', ...words);
      } catch (error) {
        // npm does not send a package again if the connection ends meanwhile.
        if (!/EPIPE|ECONNRESET/.test(String(error))) throw error;
        process.stderr.write(`${String(error)}\n`);
        return registry.run(env, checkout, 'npm', ...words);
      }
    };
    for (const each of machinePackages(at('other'))) publish(each);
    publish(dependency('core', 'yaml'));
    for (const name of ['koffi', 'pako']) publish(dependency('oci', name));
    const pair = await generateKey('');
    write(at('release.key'), pair.privateKey);
    write(at('policy/keys/release.pub'), pair.publicKey);
    write(at('policy/trust.yml'), POLICY);
    return new PublishedRelease(registry, user, at('release.key'), () => {
      // Provenance is for CI.
      const to = ['--to', at('packed'), '--trust', at('policy'), '--no-provenance'];
      const words = ['tools/release/main.ts', ...to];
      return registry.run(env, checkout, process.execPath, ...words);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
  }
}

/** Returns the directory of a library's dependency: another version may be at the top. */
function dependency(library: string, name: string): string {
  const own = join(root, 'packages', library, 'node_modules', name);
  return existsSync(own) ? own : join(modules, name);
}

const npmrc = (prefix: string): string =>
  `registry=${REGISTRY}\nprefix=${prefix}\nfetch-retries=0\n`;

/** Returns the packages with native code: this machine's, and empty ones for the other. */
function machinePackages(others: string): readonly string[] {
  return ['x64', 'arm64'].flatMap((cpu) =>
    [`node-linux-${cpu}`, `@koromix/koffi-linux-${cpu}`].map((name) => {
      if (cpu === process.arch) return join(modules, name);
      const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
        readonly packages: Readonly<Record<string, { readonly version: string }>>;
      };
      const { version } = lock.packages[`node_modules/${name}`] ?? {};
      const manifest = { name, version, os: ['linux'], cpu: [cpu] };
      write(join(others, name, 'package.json'), JSON.stringify(manifest));
      return join(others, name);
    }),
  );
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
