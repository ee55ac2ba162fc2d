import { list, type YamlType } from '@lkt/core';
import { ARGUMENT } from './texts.ts';

/** Variables of the environment, `NAME=VALUE`. */
export const ENVIRONMENT: YamlType<readonly string[]> = list(
  ARGUMENT.transform((variable, at) => {
    const index = variable.indexOf('=');
    if (index > 0) return variable;
    throw at.error(`"${variable}" has no ${index === 0 ? 'name' : '"="'}`, {
      fix: 'write it as NAME=VALUE',
    });
  }),
);
