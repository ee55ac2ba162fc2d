/** Global flags with a value. */
const WITH_VALUE = new Set(['--cache', '--cert-file', '--mirror', '--progress', '--verbose', '-v']);

/** LinuxKit's flags with a value that it accepts between `pkg`, or `pkg builder`, and a command. */
const PKG_WITH_VALUE = new Set([
  ...WITH_VALUE,
  '--build-yml',
  '--builder-config',
  '--builder-image',
  '--builder-name',
  '--builders',
  '--hash',
  '--hash-commit',
  '--hash-path',
  '--org',
  '--platforms',
  '--registry-creds',
  '--tag',
]);

/**
 * Rewrites the command line for oclif: `lkt help build` becomes `lkt build --help`,
 * `lkt --version` and `lkt -v` become `lkt version`, and flags before the command, or between the
 * words of its name, move behind it.
 */
export function commandLine(argv: readonly string[]): readonly string[] {
  if (argv.length === 1 && argv[0] === '-v') return ['version'];
  const words = hoistFlags(argv, WITH_VALUE);
  const [first, ...rest] = words;
  if (first === 'help') return [...rest, '--help'];
  if (first === '--version') return ['version', ...rest];
  if (first === 'pkg') return linuxkitPkg(hoistFlags(rest, PKG_WITH_VALUE));
  return first === 'cache' || first === 'metadata'
    ? [first, ...hoistFlags(rest, WITH_VALUE)]
    : words;
}

/**
 * Translates LinuxKit's package commands that have another name in lkt: `pkg build --push` becomes
 * `pkg push`.
 */
function linuxkitPkg(words: readonly string[]): readonly string[] {
  const [name, ...rest] = words;
  const push = rest.findIndex((word) => word === '--push' || word === '--push=true');
  if (name === 'build' && push !== -1) return ['pkg', 'push', ...rest.toSpliced(push, 1)];
  if (name === 'index') return ['pkg', 'manifest', ...rest];
  if (name !== 'builder') return ['pkg', ...words];
  const [command, ...more] = hoistFlags(rest, PKG_WITH_VALUE);
  if (command === 'du') return ['cache', 'du', ...more];
  if (command === 'prune') return ['cache', 'clean', '--unused', ...more];
  return ['pkg', ...words];
}

/**
 * Moves flags before the command (`lkt --cache DIR build x.yml`, as in LinuxKit) behind it, where
 * oclif expects them.
 */
function hoistFlags(argv: readonly string[], withValue: ReadonlySet<string>): readonly string[] {
  let end = 0;
  while (argv[end]?.startsWith('-') === true) end += withValue.has(argv[end] ?? '') ? 2 : 1;
  const before = argv.slice(0, end);
  const words = argv.slice(end);
  const asksLkt = before.some((flag) => ['--help', '-h', '--version'].includes(flag));
  if (before.length === 0 || words.length === 0 || asksLkt) return argv;
  const stop = words.indexOf('--');
  const last = stop === -1 ? words.length : stop;
  return [...words.slice(0, last), ...before, ...words.slice(last)];
}
