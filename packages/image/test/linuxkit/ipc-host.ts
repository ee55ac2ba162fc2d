/**
 * Applies the rule `ipcHost` in reverse: removes the annotation of `ipc: host` from a config.json.
 */
export function withoutIpcHost(text: string): string {
  return text.replace(/ {4}"annotations": \{\n {8}"lkt\.allow": "ipc"\n {4}\},\n/, '');
}
