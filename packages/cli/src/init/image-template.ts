/** The names of templates. */
export const TEMPLATES = ['minimal', 'sshd', 'containerd', 'web'] as const;
/** The systems of image configs, as `TEMPLATE_SUMMARY` says. */
export type Template = (typeof TEMPLATES)[number];

/** The summary of the flag that chooses a template. */
export const TEMPLATE_SUMMARY =
  'system: without a login; with one over ssh; with containers that a login starts; or a web server';

/** Reports whether the systems of a template have a login over ssh. */
export function hasLogin(template: Template): boolean {
  return template === 'sshd' || template === 'containerd';
}

/** The port of the web server. */
export const WEB_PORT = 8080;

/** A new image config. */
export interface NewImage {
  readonly name: string;
  /** Path of the config, as shown in its comment. */
  readonly path: string;
  readonly template: Template;
  /** Organization of the system's packages: `lkt`. */
  readonly system: string;
  readonly services: readonly NewService[];
  /** Files of public keys that may log in, relative to the config; at most one. */
  readonly keys: readonly string[];
  /** Whether trust.yml requires signatures; else the config does. */
  readonly hasTrustFile: boolean;
}

/** A service of an own package. */
export interface NewService {
  readonly name: string;
  readonly image: string;
}

/** Returns an image config that boots and gets an address by DHCP. */
export function imageConfig(settings: NewImage): string {
  const { name, path, template, system, services, keys, hasTrustFile } = settings;
  const isForContainers = template === 'containerd';
  const login = hasLogin(template)
    ? `  - name: sshd
    image: ${system}/sshd
    after: [dhcp]
    restart: on-failure
${isForContainers ? CONTAINERD_BINDS : ''}`
    : '';
  const programs = isForContainers
    ? `  # The authorities of registries, and the command ctr for logins.
  - ${system}/ca-certificates
  - ${system}/ctr
`
    : '';
  const own = services
    .map(
      (service) => `  - name: ${service.name}
    image: ${service.image}
    after: [dhcp]
    restart: on-failure
`,
    )
    .join('');
  const files = keys
    .slice(0, 1)
    .map(
      (key) => `files:
  - path: root/.ssh
    directory: true
    mode: '0700'
  - path: root/.ssh/authorized_keys
    source: ${key}
    mode: '0600'
`,
    )
    .join('');
  const runs = services.map(({ image }) => ` and runs ${image}`).join('');
  return `# ${name}: boots, gets an address by DHCP${runs}.
#
#   lkt pin ${path}
#   lkt run ${path}
#   lkt test ${path}
#
# Debian's kernel needs no compiler. For the hardened one, which takes ten minutes and more to
# compile, write ${system}/linux.
kernel:
  image: ${system}/kernel-debian
  cmdline: >-
    console=ttyS0 loglevel=4 panic=1 rootfstype=ramfs mitigations=auto,nosmt lockdown=confidentiality
    slab_nomerge init_on_alloc=1 init_on_free=1 page_alloc.shuffle=1 randomize_kstack_offset=on
    vsyscall=none debugfs=off
init:
  - ${system}/init
  - ${system}/runc
  - ${system}/containerd
${programs}services:
  - name: dhcp
    image: ${system}/dhcp
    ready: { log: ' has ' } # "eth0 has ADDRESS"
${login}${own}${files}${hasTrustFile ? '' : TRUST}tests:
${checkOf(template)}  - poweroff: true
`;
}

const TRUST = `# Each image must be built here from its sources or signed as a trust rule requires.
trust:
  required: true
`;

const CONTAINERD_BINDS = `    # Access to containerd's socket is root on the machine. Only logins that bind it have it.
    binds.add:
      - /usr/lib/login:/usr/local/bin:ro,bind,nosuid,nodev
      - /etc/ssl/certs:/etc/ssl/certs:ro,bind,nosuid,nodev,noexec
      - /run/containerd:/run/containerd:rw,bind,nosuid,nodev,noexec
`;

/** Returns a check of what the template adds to a booted machine. */
function checkOf(template: Template): string {
  if (hasLogin(template))
    return "  - { name: answers over ssh, tcp: { port: 22, matches: '^SSH-2\\.0-' } }\n";
  if (template !== 'web') return '';
  return `  - { name: answers, http: { port: ${WEB_PORT}, matches: '.' } }\n`;
}

/** The packages of an image, by the image's part after the organization. */
export function packagesOf(template: Template): readonly string[] {
  const always = ['kernel-debian', 'init', 'runc', 'containerd', 'dhcp'];
  if (template === 'containerd') return [...always, 'sshd', 'ca-certificates', 'ctr'];
  return hasLogin(template) ? [...always, 'sshd'] : always;
}
