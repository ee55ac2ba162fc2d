import { posix } from 'node:path';

/** Where docs/ explains a package. */
interface Place {
  /** Heading of a section, without `#`. */
  readonly section: string;
  readonly document?: 'guest' | 'logs';
  /** Only the paragraphs and lists that name the package; default: the whole section. */
  readonly only?: 'mentions';
}

const PLACES: Readonly<Record<string, readonly Place[]>> = {
  init: [{ section: 'Kernel command line' }],
  runc: [{ section: 'Container runtimes', only: 'mentions' }],
  crun: [{ section: 'Container runtimes', only: 'mentions' }],
  containerd: [
    { section: 'Container runtimes', only: 'mentions' },
    { section: 'Logs and services', only: 'mentions' },
  ],
  ctr: [{ section: 'Containers started with ctr' }],
  sysctl: [{ section: 'Sysctls' }],
  sysfs: [{ section: 'Attributes of the kernel' }],
  dhcp: [{ section: 'DHCP' }],
  ip: [{ section: 'Addresses, links and tunnels' }],
  modprobe: [{ section: 'Modules' }],
  ntp: [{ section: 'Time' }],
  node_exporter: [{ section: 'Metrics' }],
  poweroff: [{ section: 'Shutdown', only: 'mentions' }],
  binfmt: [{ section: 'Programs for other architectures' }],
  auditd: [{ section: 'Audit records' }],
  'qemu-ga': [{ section: 'Hosts', only: 'mentions' }],
  vsudd: [{ section: 'Hosts', only: 'mentions' }],
  metadata: [{ section: 'Metadata' }],
  format: [{ section: 'lkt/format' }],
  mount: [{ section: 'lkt/mount' }],
  extend: [{ section: 'lkt/extend' }],
  fstrim: [{ section: 'lkt/fstrim' }],
  swap: [{ section: 'lkt/swap' }],
  losetup: [{ section: 'lkt/losetup' }],
  'dm-crypt': [{ section: 'lkt/dm-crypt' }],
  tpm: [{ section: 'TPM' }],
  sshd: [{ section: 'SSH' }],
  getty: [{ section: 'Console' }],
  logs: [
    { document: 'logs', section: 'lkt-logs' },
    { document: 'logs', section: 'Settings' },
  ],
  'ca-certificates': [{ section: 'Certificate authorities' }],
  valkey: [{ section: 'Valkey' }],
  docker: [{ section: 'Docker' }],
  'docker-cli': [{ section: 'Docker' }],
};

/**
 * Returns what docs/guest.md and docs/logs.md say about a package, for a page in docs/packages.
 * @param read returns a document by its path
 * @throws Error for a package that they do not explain
 */
export function guideOf(name: string, read: (path: string) => string): string {
  const places = PLACES[name] ?? [];
  const texts = places.map(({ section, document = 'guest', only }) => {
    const text = sectionOf(read(`docs/${document}.md`), section);
    const shown = only === undefined ? text : mentionsOf(text, name);
    return linkedFrom(`docs/${document}.md`, shown);
  });
  if (texts.length === 0 || texts.includes(''))
    throw new Error(`tools/packages-doc/guide.ts names no text about lkt/${name} in docs/guest.md`);
  return texts.join('\n\n');
}

/** Returns the text of a section, with the sections below it. */
function sectionOf(markdown: string, title: string): string {
  const lines = markdown.split('\n');
  const start = lines.findIndex(
    (line) => line.replace(/^#+ /, '') === title && line.startsWith('##'),
  );
  if (start === -1) return '';
  const level = lines[start]?.indexOf(' ') ?? 0;
  const end = lines.findIndex((line, index) => {
    const hashes = /^(#+) /.exec(line)?.[1]?.length ?? Infinity;
    return index > start && hashes <= level;
  });
  return lines
    .slice(start + 1, end === -1 ? undefined : end)
    .join('\n')
    .trim();
}

/** Returns the paragraphs and lists that name a package, with the code after them. */
function mentionsOf(text: string, name: string): string {
  const mention = new RegExp(`lkt/${name}(?![\\w-])`);
  const blocks = text.split(/\n\n(?=\S)/);
  return blocks
    .filter((block, index) =>
      mention.test(block.startsWith('```') ? (blocks[index - 1] ?? '') : block),
    )
    .join('\n\n');
}

/** Changes links of a document so that they work in docs/packages. */
function linkedFrom(path: string, text: string): string {
  return text.replaceAll(/\]\(([^)\s]+)\)/g, (link, target: string) => {
    if (/^[a-z]+:/.test(target)) return link;
    const [file = '', anchor] = target.split('#');
    const to = file === '' ? path : posix.join(posix.dirname(path), file);
    const shown = posix.relative('docs/packages', to);
    return `](${shown}${anchor === undefined ? '' : `#${anchor}`})`;
  });
}
