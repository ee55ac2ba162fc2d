import type { Args as OclifArgs, Flags as OclifFlags } from '@oclif/core';

/**
 * How a command says what it accepts: the builders of oclif that are used here, which give the same objects without
 * loading it. A test compares.
 */
export const Flags: Pick<typeof OclifFlags, 'boolean' | 'integer' | 'option' | 'string'> = {
  boolean: ((options: Definition = {}) => ({
    parse: asText,
    ...options,
    allowNo: Boolean(options['allowNo']),
    type: 'boolean',
  })) as never,
  integer: option({ parse: integer }) as never,
  option: ((defaults: Definition) => option(defaults)) as never,
  string: option({}) as never,
};

export const Args: Pick<typeof OclifArgs, 'string'> = {
  string: ((options: Definition = {}) => ({
    parse: asText,
    ...options,
    input: [],
    type: 'option',
  })) as never,
};

type Definition = Readonly<Record<string, unknown>>;

function option(defaults: Definition): (options?: Definition) => Definition {
  return (options = {}) => ({
    parse: asText,
    ...defaults,
    ...options,
    input: [],
    multiple: Boolean(options['multiple'] ?? defaults['multiple']),
    type: 'option',
  });
}

/** How a value is read that is taken as it is. */
export const asText = (input: unknown): Promise<unknown> => Promise.resolve(input);

async function integer(
  text: string,
  _: unknown,
  { min, max }: { readonly min?: number; readonly max?: number },
): Promise<number> {
  const number = Number(text);
  const wrong = !/^-?\d+$/.test(text)
    ? 'an integer'
    : min !== undefined && number < min
      ? `an integer greater than or equal to ${min}`
      : max !== undefined && number > max
        ? `an integer less than or equal to ${max}`
        : undefined;
  // Marked as oclif's own errors are: it is a mistake of the user.
  if (wrong !== undefined)
    throw Object.assign(new Error(`Expected ${wrong} but received: ${text}`), { oclif: {} });
  return Promise.resolve(number);
}
