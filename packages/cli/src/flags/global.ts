const WITH_VALUE = new Set(['--cache', '--cert-file', '--mirror', '--progress', '--verbose', '-v']);

/**
 * Rewrites the command line for oclif: `lkt help build` becomes `lkt build --help`,
 * `lkt --version` and `lkt -v` become `lkt version`, and global flags move behind the command.
 */
export function commandLine(argv: readonly string[]): readonly string[] {
  if (argv.length === 1 && argv[0] === '-v') return ['version'];
  const words = hoistGlobalFlags(argv);
  const [first, ...rest] = words;
  if (first === 'help') return [...rest, '--help'];
  if (first === '--version') return ['version', ...rest];
  return first === 'pkg' ? linuxkitPkg(rest) : words;
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
  if (name === 'builder' && rest[0] === 'du') return ['cache', 'du', ...rest.slice(1)];
  if (name === 'builder' && rest[0] === 'prune')
    return ['cache', 'clean', '--unused', ...rest.slice(1)];
  return ['pkg', ...words];
}

/**
 * Moves flags before the command (`lkt --cache DIR build x.yml`, as in LinuxKit) behind it, where
 * oclif expects them.
 */
function hoistGlobalFlags(argv: readonly string[]): readonly string[] {
  let end = 0;
  while (argv[end]?.startsWith('-') === true) end += WITH_VALUE.has(argv[end] ?? '') ? 2 : 1;
  const before = argv.slice(0, end);
  const words = argv.slice(end);
  const asksLkt = before.some((flag) => ['--help', '-h', '--version'].includes(flag));
  if (before.length === 0 || words.length === 0 || asksLkt) return argv;
  const stop = words.indexOf('--');
  const last = stop === -1 ? words.length : stop;
  return [...words.slice(0, last), ...before, ...words.slice(last)];
}
