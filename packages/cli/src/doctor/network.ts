import { join } from 'node:path';
import type { LoginFile } from '@lkt/registry';
import type { Check } from './check.ts';

/** How registries, mirrors and downloads are reached. Sends nothing. */
export const networkChecks: readonly Check[] = [
  {
    name: 'proxies',
    async run({ environment: { variables } }) {
      const { readHttpSettings } = await import('@lkt/http');
      const { http, https, noProxy, authorities } = await readHttpSettings(variables);
      const parts = [
        ...(http === undefined ? [] : [`HTTP_PROXY ${http}`]),
        ...(https === undefined ? [] : [`HTTPS_PROXY ${https}`]),
        ...(noProxy === '' ? [] : [`NO_PROXY ${noProxy}`]),
        ...authorities.map((file) => `authorities of ${file}`),
      ];
      const text = parts.length === 0 ? 'none' : parts.join(', ');
      const all = variables['all_proxy'] ?? variables['ALL_PROXY'] ?? '';
      if (all !== '' && (http === undefined || https === undefined))
        return {
          state: 'warn',
          text: `${text}; ALL_PROXY is ignored`,
          fix: 'set HTTP_PROXY and HTTPS_PROXY',
        };
      if (http !== undefined && https === undefined)
        return {
          state: 'warn',
          text: `${text}; https does not use it`,
          fix: 'set HTTPS_PROXY too',
        };
      return { state: 'ok', text };
    },
  },
  {
    name: 'logins',
    async run({ environment: { variables } }) {
      const { listLogins } = await import('@lkt/registry');
      const files = await listLogins(variables);
      const { isExecutable } = await import('@lkt/builder');
      const dirs = (variables['PATH'] ?? '').split(':');
      const text = files.map(describe).join('; ') || 'none';
      for (const { path, mode, helpers } of files) {
        const missing = helpers.find(
          (program) => !dirs.some((dir) => isExecutable(join(dir, program))),
        );
        if (missing !== undefined)
          return {
            state: 'fail',
            text: `${missing}, configured in ${path}, is not installed`,
            fix: `install it, or remove it from ${path}`,
          };
        if ((mode & 0o077) !== 0)
          return {
            state: 'warn',
            text: `${text}; other users can read ${path}`,
            fix: `chmod 600 ${path}`,
          };
      }
      return { state: 'ok', text };
    },
  },
];

function describe({ path, registries, helpers }: LoginFile): string {
  const names = registries.length === 0 ? 'no registry' : registries.join(', ');
  return `${names} (${[path, ...helpers].join(', ')})`;
}
