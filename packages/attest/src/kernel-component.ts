import type { Component } from './component.ts';
import { cpeName } from './cpe.ts';
import { packageUrl } from './purl.ts';

/**
 * Returns the component of a Linux kernel, by its version text: `6.12.94 (root@host) #1 SMP …`.
 *
 * Its version is the upstream one. Debian's releases, such as `6.1.0-18-amd64`, do not have it, but
 * end their text with the version of the package.
 */
export function kernelComponent(text: string): Component {
  const [release = ''] = text.split(' ');
  const packaged = /#\d+ .*\bDebian (\d\S*)/.exec(text)?.[1];
  const version = /^\d+(?:\.\d+){1,2}(?:-rc\d+)?/.exec(packaged ?? release)?.[0];
  return {
    kind: 'kernel',
    name: 'linux',
    version,
    purl: packageUrl({ type: 'generic', name: 'linux', version }),
    cpe: version === undefined ? undefined : cpeName('o', 'linux', 'linux_kernel', version),
    license: 'GPL-2.0-only WITH Linux-syscall-note',
    comment: text,
  };
}
