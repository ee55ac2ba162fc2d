import { createRequire } from 'node:module';

/** Parses an SPDX license expression. The library has no types. Throws if it is invalid. */
export const parseExpression: (expression: string) => unknown = createRequire(import.meta.url)(
  'spdx-expression-parse',
) as (expression: string) => unknown;
