/** A git setting and its value. */
export type GitSetting = readonly [key: string, value: string];

/**
 * Returns settings that override a repository's own configuration: all settings with programs that
 * the git commands used here could start. A filter that the user or the system has configured
 * stays.
 *
 * The author of a checkout, for example in an archive or on a shared disk, controls its
 * `.git/config`. Reading the state of files must not run programs from there.
 * @param list output of `git config --list --show-scope --includes -z`
 */
export function overrides(list: string): readonly GitSetting[] {
  const records = list.split('\0');
  const untrusted = new Set<string>();
  const trusted = new Map<string, string>();
  for (let index = 0; index + 1 < records.length; index += 2) {
    const scope = records[index] ?? '';
    const record = records[index + 1] ?? '';
    const end = record.indexOf('\n');
    const key = end === -1 ? record : record.slice(0, end);
    if (!STARTS_A_PROGRAM.test(key)) continue;
    // A key without a value is the boolean true.
    if (TRUSTED.has(scope)) trusted.set(key, end === -1 ? 'true' : record.slice(end + 1));
    else untrusted.add(key);
  }
  return [...untrusted].map((key) => {
    const nothing = key.endsWith('.required') ? 'false' : '';
    return [key, trusted.get(key) ?? nothing];
  });
}

/** The other scopes, `local` and `worktree`, are in files of the repository. */
const TRUSTED: ReadonlySet<string> = new Set(['system', 'global', 'command']);

/**
 * Git prints sections and names in lower case, subsections as written. `required` is included
 * because it would make an emptied filter an error.
 */
const STARTS_A_PROGRAM =
  /^(filter\..*\.(clean|smudge|process|required)|diff\.external|diff\..*\.(command|textconv)|core\.(sshcommand|gitproxy|pager|editor|askpass|alternaterefscommand)|credential\.(.*\.)?helper|gpg\.(.*\.)?program|remote\..*\.(uploadpack|vcs))$/s;

/** Returns the variables that set `settings` with the highest precedence, after existing ones. */
export function settingVariables(
  settings: readonly GitSetting[],
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  if (settings.length === 0) return {};
  const first = Number(env['GIT_CONFIG_COUNT'] ?? '0');
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(first + settings.length) };
  for (const [index, [key, value]] of settings.entries()) {
    // Converts from one char per byte.
    variables[`GIT_CONFIG_KEY_${first + index}`] = Buffer.from(key, 'latin1').toString();
    variables[`GIT_CONFIG_VALUE_${first + index}`] = Buffer.from(value, 'latin1').toString();
  }
  return variables;
}
