import { list, text, type YamlType } from '@lkt/core';

/** Text of a system call or a file of the kernel, which ends at a NUL. */
export const WORD: YamlType<string> = text({
  matches: /^[^\0]*$/,
  problem: () => 'it contains a NUL, where Linux ends a text',
  fix: 'remove "\\0"',
});

/** A path from the root, or nothing. */
export const OPTIONAL_PATH: YamlType<string> = text({
  matches: /^(?:\/[^\0]*)?$/,
  problem: notAbsolute,
  fix: 'start it with /',
});

/** A path from the root. */
export const ABSOLUTE_PATH: YamlType<string> = text({
  matches: /^\/[^\0]*$/,
  problem: notAbsolute,
  fix: 'start it with /',
});

export const ABSOLUTE_PATHS: YamlType<readonly string[]> = list(ABSOLUTE_PATH);

/** Bytes of an argument or a variable of the environment, without its NUL (MAX_ARG_STRLEN). */
const MAX_ARGUMENT_LENGTH = 131_071;

/** An argument of a program, or a variable of its environment. */
export const ARGUMENT: YamlType<string> = WORD.transform((argument, at) => {
  const length = Buffer.byteLength(argument);
  if (length <= MAX_ARGUMENT_LENGTH) return argument;
  throw at.error(`it has ${length} bytes, and Linux takes at most ${MAX_ARGUMENT_LENGTH}`, {
    fix: 'put it into a file',
  });
});

/** Path of a control group below the root of the hierarchy. */
export const CONTROL_GROUP: YamlType<string> = text({
  matches: /^(?!\/*$)(?!(?:.*\/)?\.\.(?:\/|$))[^\0\n]+$/,
  problem: (group) => `${JSON.stringify(group)} is not a control group`,
  fix: 'write a path such as lkt/web, without ".."',
});

function notAbsolute(path: string): string {
  return `${JSON.stringify(path)} is not an absolute path`;
}
