/** The names of templates. */
export const TEMPLATES = ['minimal', 'sshd'] as const;
/** The systems of image configs: without a login, or with one over ssh. */
export type Template = (typeof TEMPLATES)[number];

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
}

/** A service of an own package. */
export interface NewService {
  readonly name: string;
  readonly image: string;
}

/** Returns an image config that boots and gets an address by DHCP. */
export function imageConfig({ name, path, template, system, services, keys }: NewImage): string {
  const login =
    template === 'sshd'
      ? `  - name: sshd
    image: ${system}/sshd
    after: [dhcp]
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
#   lkt build --dir out ${path}
#   lkt run out/${name}${template === 'sshd' ? ' --publish 127.0.0.1:2222:22' : ''}
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
services:
  - name: dhcp
    image: ${system}/dhcp
    ready: { log: ' has ' } # "eth0 has ADDRESS"
${login}${own}${files}# Each image must be built here from its sources or signed as a trust rule requires.
trust:
  required: true
`;
}

/** The packages of an image, by the image's part after the organization. */
export function packagesOf(template: Template): readonly string[] {
  const always = ['kernel-debian', 'init', 'runc', 'containerd', 'dhcp'];
  return template === 'sshd' ? [...always, 'sshd'] : always;
}
