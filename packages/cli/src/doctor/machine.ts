import { join } from 'node:path';
import { ownRuntimeDirectory } from '@lkt/core';
import { runtimeDir } from '../session/environment.ts';
import type { Check } from './check.ts';
import { versionOf } from './programs.ts';

const QEMU = 'qemu-system-x86_64';

/** The checks of the features that `lkt run` needs. */
export const machineChecks: readonly Check[] = [
  {
    name: 'runtime',
    run({ environment }) {
      const text = runtimeDir(environment);
      const { XDG_RUNTIME_DIR: given = '' } = environment.variables;
      if (given === '' || ownRuntimeDirectory(environment.variables) !== undefined)
        return { state: 'ok', text };
      return {
        state: 'warn',
        text: `${text}; XDG_RUNTIME_DIR is ignored: ${given} is not a directory of this user`,
        fix: 'unset XDG_RUNTIME_DIR, or begin a session with: su -',
      };
    },
  },
  {
    name: 'qemu',
    run(session) {
      const version = versionOf(session, QEMU, ['--version']);
      return version === undefined
        ? {
            state: 'warn',
            text: `${QEMU} is not installed; lkt run needs it`,
            fix: 'apt-get install --no-install-recommends qemu-system-x86',
          }
        : { state: 'ok', text: version };
    },
  },
  {
    name: 'kvm',
    async run(session) {
      if (versionOf(session, QEMU, ['--version']) === undefined)
        return { state: 'warn', text: 'not tried without QEMU' };
      const { probeAccelerator } = await import('@lkt/machine');
      const cacheFile = join(session.cacheDir, 'kvm.json');
      const { name, reason = '' } = await probeAccelerator({ qemu: QEMU, cacheFile });
      if (name === 'kvm') return { state: 'ok', text: 'runs a guest' };
      return {
        state: 'warn',
        text: `${reason}; lkt run translates in software, several times slower`,
        fix: reason.includes('lacks access')
          ? 'sudo usermod --append --groups kvm $USER, and log in again'
          : 'enable virtualization in the firmware; in a virtual machine, nested virtualization; in a container, give it /dev/kvm',
      };
    },
  },
];
