/** A setting that is to win, and its value. */
export type GitSetting = readonly [key: string, value: string];

/**
 * What of a repository's own configuration must not count, with what counts instead: the settings that name programs
 * which the commands used here would start. A filter that the user or the system has configured stays in force.
 *
 * Whoever gives a checkout to someone, as an archive or on a shared disk, writes its `.git/config`, and looking at the
 * state of files must not run what that says.
 * @param list what `git config --list --show-scope --includes -z` says
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

/** The others, `local` and `worktree`, are in files of the repository. */
const TRUSTED: ReadonlySet<string> = new Set(['system', 'global', 'command']);

/** Sections and names are in lower case here, what is between is as written. `required` makes a filter that is none an error. */
const STARTS_A_PROGRAM =
  /^(filter\..*\.(clean|smudge|process|required)|diff\.external|diff\..*\.(command|textconv)|core\.(sshcommand|gitproxy|pager|editor|askpass|alternaterefscommand)|credential\.(.*\.)?helper|gpg\.(.*\.)?program|remote\..*\.(uploadpack|vcs))$/s;

/** The variables that make settings win over those of files, after the ones that are there. */
export function settingVariables(
  settings: readonly GitSetting[],
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  if (settings.length === 0) return {};
  const first = Number(env['GIT_CONFIG_COUNT'] ?? '0');
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(first + settings.length) };
  for (const [index, [key, value]] of settings.entries()) {
    // Bytes, one a character.
    variables[`GIT_CONFIG_KEY_${first + index}`] = Buffer.from(key, 'latin1').toString();
    variables[`GIT_CONFIG_VALUE_${first + index}`] = Buffer.from(value, 'latin1').toString();
  }
  return variables;
}
