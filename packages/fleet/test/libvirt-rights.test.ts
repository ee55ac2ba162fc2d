import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';

/** Commands of virsh, with the rights of their calls in libvirt-api.xml of libvirt 11.3. */
const RIGHTS: Readonly<Record<string, readonly string[]>> = {
  capabilities: ['connect.read'],
  create: ['domain.write', 'domain.start'],
  destroy: ['domain.getattr', 'domain.stop'],
  domid: ['domain.getattr'],
  domifaddr: ['domain.getattr', 'domain.read', 'domain.write'],
  domname: ['domain.getattr'],
  domstate: ['domain.getattr', 'domain.read'],
  dumpxml: ['domain.getattr', 'domain.read'],
  list: ['connect.getattr', 'connect.search-domains', 'domain.getattr', 'domain.read'],
  metadata: ['domain.getattr', 'domain.read', 'domain.write', 'domain.save'],
  'pool-dumpxml': ['storage-pool.getattr', 'storage-pool.read'],
  'pool-refresh': ['storage-pool.getattr', 'storage-pool.refresh'],
  shutdown: ['domain.getattr', 'domain.init-control'],
  'vol-create-as': ['storage-pool.getattr', 'storage-vol.create'],
  'vol-delete': ['storage-vol.getattr', 'storage-vol.delete'],
  'vol-download': ['storage-vol.getattr', 'storage-vol.data-read'],
  'vol-dumpxml': ['storage-vol.getattr', 'storage-vol.read'],
  'vol-info': ['storage-vol.getattr', 'storage-vol.read'],
  'vol-list': ['storage-pool.search-storage-vols', 'storage-vol.getattr', 'storage-vol.read'],
  'vol-upload': ['storage-vol.getattr', 'storage-vol.data-write'],
};
/** Lists in the source that are no commands. */
const OTHERS = new Set(['accelerator', 'console', 'running']);
/** Files that call virsh. */
const SOURCES = ['images.ts', 'pool.ts', 'provider.ts'];
const NEEDED = new Set(Object.values(RIGHTS).flat());

const read = (path: string): string => readFileSync(join(import.meta.dirname, path), 'utf8');
const rule = read('../../../docs/fleet/rights/libvirt.rules');

interface Action {
  readonly id: string;
  readonly lookup: (key: string) => string | undefined;
}

/** Asks the documented rule about a right to an object of libvirt's. */
function ask(user: string, right: string, names: Readonly<Record<string, string>>): unknown {
  const rules: ((action: Action, subject: { readonly user: string }) => unknown)[] = [];
  const polkit = {
    Result: { YES: 'yes', NO: 'no' },
    addRule: (added: (typeof rules)[number]) => rules.push(added),
  };
  runInNewContext(rule, { polkit });
  const action = { id: `org.libvirt.${right}`, lookup: (key: string) => names[key] };
  return rules[0]?.(action, { user });
}

const OWN = { domain_name: 'lkt.shop.web-0', pool_name: 'lkt', vol_name: 'lkt-image.feed.kernel' };

test('the table has every command of the provider', () => {
  const source = SOURCES.map((path) => read(`../src/providers/libvirt/${path}`)).join('\n');
  const words = [...source.matchAll(/\['([a-z]+(?:-[a-z]+)*)', /g)].map(([, word = '']) => word);
  const single = [...source.matchAll(/\['([a-z]+)'\]/g)].map(([, word = '']) => word);
  const commands = new Set([...words, ...single].filter((word) => !OTHERS.has(word)));
  expect([...commands].toSorted()).toEqual(Object.keys(RIGHTS).toSorted());
});

test('the documented rule is in the language of polkit, ES5', () => {
  expect(rule).toContain('polkit.addRule(');
  expect(rule).not.toMatch(/=>|\b(?:const|let)\b|`|\?[.?]|\.\.\./);
});

test('the documented rule of polkit allows what the commands need, and nothing else', () => {
  expect(ask('lkt', 'unix.manage', {})).toBe('yes');
  for (const right of NEEDED)
    expect([right, ask('lkt', `api.${right}`, OWN)]).toEqual([right, 'yes']);
  const rights = [...rule.matchAll(/^ {4}'?([a-z-]+)'?: \[(.*)\],$/gm)].flatMap(
    ([, object = '', list = '']) =>
      [...list.matchAll(/'([a-z-]+)'/g)].map(([, right = '']) => `${object}.${right}`),
  );
  expect(new Set(rights)).toEqual(NEEDED);
  for (const right of ['domain.delete', 'domain.open-device', 'network.read', 'connect.write'])
    expect(ask('lkt', `api.${right}`, OWN)).toBe('no');
});

test('the documented rule covers no domain or volume of others, and no other user', () => {
  for (const right of [
    'domain.stop',
    'domain.read',
    'storage-vol.delete',
    'storage-vol.data-read',
  ]) {
    expect(ask('lkt', `api.${right}`, { domain_name: 'web', vol_name: 'web.img' })).toBe('no');
    expect(ask('lkt', `api.${right}`, {})).toBe('no');
    expect(ask('other', `api.${right}`, OWN)).toBeUndefined();
  }
  expect(ask('lkt', 'other', OWN)).toBe('no');
});
