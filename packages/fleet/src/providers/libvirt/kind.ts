import type { ProviderKind } from '../../provider.ts';
import { LIBVIRT_SETTINGS, type LibvirtSettings } from './settings.ts';

/** Nodes as transient domains of a libvirt host. */
export const libvirt: ProviderKind<LibvirtSettings> = {
  kind: 'libvirt',
  about: 'QEMU on a host with libvirt, by virsh',
  settings: LIBVIRT_SETTINGS,
  place: ({ uri }) => uri,
  shape: ({ pool, network, bridge, address, accelerator }) => ({
    pool: pool === 'default' ? undefined : pool,
    network,
    bridge,
    address: address === '127.0.0.1' ? undefined : address,
    accelerator: accelerator === 'auto' ? undefined : accelerator,
  }),
  open: async (settings, { signal }) => {
    const { LibvirtProvider } = await import('./provider.ts');
    return LibvirtProvider.open(settings, signal);
  },
};
