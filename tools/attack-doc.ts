import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { table } from './table.ts';

/** Who attacks. */
type Attacker = 'root' | 'user' | 'login';

/** An attempt of tools/attack, and what stops each attacker. One who cannot try it is not there. */
type Attempt = { readonly does: string } & Readonly<Partial<Record<Attacker, string>>>;

const EXPECTED = 'tools/test/system/attack.json';

function load(root: string): readonly (readonly [string, Attempt])[] {
  const text = readFileSync(join(root, EXPECTED), 'utf8');
  return Object.entries(JSON.parse(text) as Record<string, Attempt>);
}

/** What is to stop each attempt of one attacker, by the name of the attempt. */
export function expectedAttempts(root: string, who: Attacker): Record<string, string> {
  return Object.fromEntries(
    load(root).flatMap(([name, { [who]: what }]) => (what === undefined ? [] : [[name, what]])),
  );
}

/** What a hostile container tries and what stops it: docs/attack.md. */
export function attackDocument(root: string): string {
  const rows = load(root).map(([name, { does, root: asRoot, user, login }]) => [
    `\`${name}\``,
    does,
    ...[asRoot, user, login].map((what) => what ?? '–'),
  ]);
  return `# What an attack gets

<!-- Made by tools/attack-doc.ts from ${EXPECTED}; do not edit. -->

A test boots a machine, one with its files unpacked and one with \`layout: erofs\`, attacks it from inside and compares what stopped each
attempt with this table (\`tools/test/system/attack.test.ts\`; the program is \`tools/attack\`). Afterwards the machine still serves, the logs of others are whole,
and the digest of the root's files is that of before.

- **root**: the user root in a service whose config says nothing but how much memory and how many tasks it may have. It shares
  the machine's network, as LinuxKit's services do, and a directory with another service.
- **user**: the same as user 1000, with \`net: new\`.
- **login**: root in the container of \`lkt/sshd\`.

${table(['attempt', 'what it tries', 'root', 'user', 'login'], rows)}

Names of errors are what the kernel said: \`EPERM\` no right to, \`EACCES\` not for this user, \`EROFS\` read-only, \`ENOENT\` and \`ESRCH\` not there
to be found, \`ENOSYS\` not in this kernel. \`killed\`, \`no room\`, \`EAGAIN\` and \`bounded\` are limits; \`own layer\` and \`own files\` are the container's, which nobody else
sees. \`shared network\`: what listens on the loopback interface or on an abstract socket is for all that share the network; \`net: new\` keeps it
apart. A container that a config gives \`CAP_SYS_ADMIN\`, a device or a writable directory of the machine has more.
`;
}
