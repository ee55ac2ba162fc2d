import { mapping, type YamlType } from '@lkt/core';
import { WORD } from './texts.ts';

/** Kernel parameters by name: `net.ipv4.ip_forward` or `net/ipv4/ip_forward`. */
export const PARAMETERS: YamlType<Readonly<Record<string, string>>> = mapping(WORD).transform(
  (parameters, value) => {
    for (const [name, item] of value.entries()) {
      const parts = name.split(name.includes('/') ? '/' : '.');
      if (parts.some((part) => part === '' || part === '..' || part.includes('\0')))
        throw item.error(`${JSON.stringify(name)} is not a kernel parameter`, {
          fix: 'write its name below /proc/sys with dots, such as net.ipv4.ip_forward',
        });
      if (item.text().trim() === '')
        throw item.error('the value is empty, which sets nothing', { fix: 'write a value' });
    }
    return Object.fromEntries(parameters);
  },
);
