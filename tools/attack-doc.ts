import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { table } from './table.ts';

const ATTACKERS = ['root', 'user', 'login'] as const;
/** The identity an attack runs as. */
type Attacker = (typeof ATTACKERS)[number];

/**
 * An attempt of tools/attack and the expected result per attacker. An attacker that cannot try it
 * has no entry.
 */
type Attempt = { readonly does: string } & Readonly<Partial<Record<Attacker, string>>>;

const EXPECTED = 'tools/test/system/attack.json';

function load(root: string): readonly (readonly [string, Attempt])[] {
  const text = readFileSync(join(root, EXPECTED), 'utf8');
  return Object.entries(JSON.parse(text) as Record<string, Attempt>);
}

/** Returns the expected result of each attempt of one attacker, by the attempt's name. */
export function expectedAttempts(root: string, who: Attacker): Record<string, string> {
  return Object.fromEntries(
    load(root).flatMap(([name, { [who]: what }]) => (what === undefined ? [] : [[name, what]])),
  );
}

/** The meaning of the results in attack.json. */
const RESULTS = [
  ['`EPERM`, `EACCES`, `EROFS`, …', "the kernel's error: no permission, not this user, read-only"],
  ['`ENOENT`, `ESRCH`', 'no such file or process is visible'],
  ['`ENOSYS`', 'the kernel lacks the system call'],
  ['killed, no room, `EAGAIN`, bounded', 'a limit stopped it'],
  ['own layer, own files', 'the change is visible in the container only'],
  [
    'shared network',
    'loopback and abstract sockets are shared within a network namespace; `net: new` separates them',
  ],
];

/** Renders docs/attack.md: the attempts of a hostile container and what stops them. */
export function attackDocument(root: string): string {
  const groups = Map.groupBy(load(root), ([, attempt]) =>
    ATTACKERS.map((who) => attempt[who] ?? '–').join('|'),
  );
  const rows = [...groups].map(([results, attempts]) => [
    ...results.split('|'),
    attempts.map(([, { does }]) => does).join('; '),
  ]);
  return `# Attacks and what stops them

<!-- Made by tools/attack-doc.ts from ${EXPECTED}; do not edit. -->

\`tools/test/system/attack.system.test.ts\` boots a machine twice, with its files unpacked and with \`layout: erofs\`.
It runs the attacks of \`tools/attack\` inside and compares the results with this table. Afterwards the
machine must still serve, other logs must be complete, and the digest of the root's files unchanged.

- **root**: user root in a service whose config only limits memory and tasks. It shares the machine's
  network, as LinuxKit's services do, and a directory with another service.
- **user**: the same as user 1000, with \`net: new\`.
- **login**: root in the container of \`lkt/sshd\`.

${table([...ATTACKERS, 'attempts'], rows)}

${table(['result', 'meaning'], RESULTS)}

A container that the config gives \`CAP_SYS_ADMIN\`, a device or a writable directory of the machine can do more.
`;
}
