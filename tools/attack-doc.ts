import { type Attempt, ATTACKERS, attempts, EXPECTED } from './test/system/helpers/attempts.ts';

/** The meaning of the results in attack.json. */
const RESULTS = [
  ['`EPERM`, `EACCES`, `EROFS`, …', "the kernel's error: no permission, not this user, read-only"],
  ['`ENOENT`, `ESRCH`', 'no such file or process is visible'],
  ['`EINVAL`', 'the mount is locked, or the kernel gives no leases'],
  ['killed, no room, `EAGAIN`, `ENOSPC`, bounded', 'a limit stopped it'],
  ['own layer, own files', 'only the container sees the change'],
  ['read-only or empty', 'the image is locked there, or not there'],
  ['own limit', 'the victim in another container still gets its share'],
  ['score 500', 'the OOM killer ends it before the system and logins, which have lower scores'],
  ['shared network', '`net: new` separates loopback and abstract sockets'],
];

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Returns the result for all attackers that try it, or one for each. */
function resultsOf(attempt: Attempt): string {
  const tried = ATTACKERS.filter((who) => attempt[who] !== undefined);
  const [first = ''] = tried.map((who) => attempt[who] ?? '');
  if (tried.every((who) => attempt[who] === first)) return first;
  return tried.map((who) => `${who}: ${attempt[who] ?? ''}`).join(', ');
}

/** Renders docs/attack.md: the attempts of a hostile container and what stops them. */
export function attackDocument(root: string): string {
  const all = attempts(root);
  const groups = Map.groupBy(all, ([, attempt]) => resultsOf(attempt));
  const items = [...groups].map(
    ([results, some]) =>
      `- **${results}**: ${some.map(([, { does }]) => sentence(does)).join(' ')}`,
  );
  return `# Attacks and what stops them

<!-- Made by tools/attack-doc.ts from ${EXPECTED}; do not edit. -->

A test runs the attacks of \`tools/attack\` on two machines: with files unpacked and \`lkt/runc\`, and with
\`layout: erofs\` and \`lkt/crun\`. It compares the results with this list. Afterwards the machine must still
serve, other logs must be complete, and the digest of the root's files unchanged.

- **root**: user root in a service whose config only limits memory and tasks. It shares the machine's
  network, as LinuxKit's services do, and a directory with another service.
- **user**: the same as user 1000, with \`net: new\`.
- **login**: root in the container of \`lkt/sshd\`.
- **admin**: root with \`capabilities: [all]\`, otherwise the same; for the attempts of a privileged
  program.
- **mounter**: admin with \`allow: [bpf, kernel, keys, mount, namespaces, vsock]\`.
- **debugger**: mounter with \`pid: host\`.

The ${all.length} attempts, with their result for all who make them, or for each:

${items.join('\n')}

The results:

${RESULTS.map(([result, meaning]) => `- ${result}: ${meaning}`).join('\n')}

Nothing stops a container from taking [memory that the kernel does not
count](decisions/0012-memory-that-no-container-pays-for.md). [guest.md](guest.md#what-holds-for-whom) says what
a container can do that the config gives more.
`;
}
