import { expect, test } from 'vitest';
import { bootedBy } from '../../src/output/next-run.ts';

test.each([
  [['out/os-kernel', 'out/os-initrd.img', 'out/os-cmdline'], 'out/os'],
  [['os-kernel', 'os-erofs.img', 'os.qcow2'], 'os'],
  [['os.tar', 'os-efi.img'], 'os-efi.img'],
  [['os-bios.img'], 'os-bios.img'],
  [['os-efi.qcow2'], 'os-efi.qcow2'],
  [['os-efi-initrd.iso'], 'os-efi-initrd.iso'],
  [['os.efi', 'os-sbom.spdx.json'], 'os.efi'],
  [['os.tar', 'os.oci.tar', 'os-sbom.spdx.json'], undefined],
])('%j is booted by %s', (files, booted) => {
  expect(bootedBy(files)).toBe(booted);
});
