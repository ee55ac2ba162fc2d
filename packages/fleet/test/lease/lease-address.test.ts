import { expect, test } from 'vitest';
import { openLease } from '../../src/lease/lease-address.ts';

async function open(address: string, variables = {}): Promise<unknown> {
  return openLease({ fleet: 'shop', address, dir: '/', defaultPath: '/x', variables });
}

test.for([
  ['etcd', '"etcd" is not the address of a lease'],
  ['file:', '"file:" is not the address of a lease'],
  ['http://127.0.0.1:2379', '"http://127.0.0.1:2379" is not the address of a lease'],
  ['etcd://127.0.0.1', '"127.0.0.1" is not HOST:PORT of etcd'],
  ['etcd://127.0.0.1:99999', '"127.0.0.1:99999" is not HOST:PORT of etcd'],
  ['etcd://127.0.0.1:1?ttl=1', 'a lease of 1 s is not between 2 and 3600 s'],
  ['etcd://user@127.0.0.1:1', '"etcd://user@127.0.0.1:1" is not the address of a lease'],
] as const)('rejects %s', async ([address, message]) => {
  await expect(open(address)).rejects.toMatchObject({ code: 'USAGE_INVALID', message });
});

test('reaches etcd on another machine by TLS only', async () => {
  await expect(open('etcd://127.0.0.1:1,10.0.0.1:2379')).rejects.toMatchObject({
    code: 'USAGE_INVALID',
    message: 'etcd at 10.0.0.1:2379 would be used without TLS',
    fix: expect.stringContaining('etcds://10.0.0.1:2379'),
  });
  await expect(open('etcds://10.0.0.1:2379,[::1]:2379')).resolves.toBeDefined();
  await expect(open('etcd://[::1]:2379')).resolves.toBeDefined();
});

test('rejects credentials and certificates that cannot be', async () => {
  const address = 'etcds://10.0.0.1:2379';
  await expect(open(address, { ETCDCTL_USER: 'lkt' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
  await expect(open(address, { ETCDCTL_CACERT: '/nowhere.pem' })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  await expect(open(address, { ETCDCTL_CERT: '/nowhere.pem' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'only one of ETCDCTL_CERT and ETCDCTL_KEY is set',
  });
  await expect(open(address, { ETCDCTL_CACERT: import.meta.filename })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
});
