/**
 * Applies the rule `volumeMounts` to LinuxKit's config.json: resolves volume names, and binds them.
 */
export function withVolumeMounts(text: string, volumes: Iterable<string>): string {
  const names = new Set(volumes);
  const mount = /( *)"source": "([^"]+)"(,\n *"options": \[)?([^\]}]*)/g;
  return text.replaceAll(mount, (all, indent: string, name: string, list = '', rest = '') => {
    if (!names.has(name)) return all;
    const path = `${indent}"source": "/containers/volumes/${name}/merged"`;
    if (/"r?bind"/.test(rest)) return `${path}${list}${rest}`;
    const bind = `\n${indent}    "bind"`;
    return list === ''
      ? `${path},\n${indent}"options": [${bind}\n${indent}]${rest}`
      : `${path}${list}${bind},${rest}`;
  });
}
