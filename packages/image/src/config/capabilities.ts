import { nearest, type YamlValue } from '@lkt/core';

/** The capabilities of Linux in the order of their numbers (linux/capability.h), 0 to 40. */
const CAPABILITIES: readonly string[] = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

/** Names of capabilities, or one item `all` or `none`, which stay as they are until lists are merged. */
export function parseCapabilities(value: YamlValue): readonly string[] {
  const items = value.list();
  return items.map((item) => {
    const name = item.string();
    if (CAPABILITIES.includes(name)) return name;
    if (items.length === 1 && isWord(name)) return name.toLowerCase();
    if (isWord(name)) throw item.error(`"${name}" must be the only item of the list`);
    const near = nearest(name, CAPABILITIES) ?? nearest(`CAP_${name}`, CAPABILITIES);
    throw item.error(
      `unknown capability: ${name}`,
      near === undefined ? {} : { fix: `did you mean "${near}"?` },
    );
  });
}

/** The capabilities of a merged list in its order, each once. */
export function expandCapabilities(names: readonly string[]): readonly string[] {
  if (names.includes('all')) return CAPABILITIES;
  return [...new Set(names.filter((name) => name !== 'none'))];
}

function isWord(name: string): boolean {
  return /^(?:all|none)$/i.test(name);
}
