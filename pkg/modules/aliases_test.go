package modules

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func writeFiles(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAliasesFindModulesOfADevice(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"lib/modules.alias": `# Aliases extracted from modules themselves.
alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias pci:v00008086d*sv*sd*bc01sc06i01* other-ahci
alias usb:v1D6Bp0002d0[0-4]*dc*dsc*dp*ic*isc*ip*in* hub
alias of:N*T*Cvirtio,mmioC* virtio_mmio
alias net-pf-10 ipv6
alias broken
`,
		"etc/a.conf":      "# comment\nblacklist other-ahci\noptions e1000 x=1\n",
		"etc/a.conf.orig": "blacklist ahci\n",
	})
	a, err := OpenAliases(filepath.Join(dir, "lib"), filepath.Join(dir, "etc"))
	if err != nil || a.IsEmpty() {
		t.Fatal(err)
	}
	for device, want := range map[string][]string{
		"pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n": {"e1000"},
		"pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01":   {"ahci"},
		"usb:v1D6Bp0002d0305dc09dsc00dp00ic09isc00ip00in00":       {"hub"},
		"usb:v1D6Bp0002d0605dc09dsc00dp00ic09isc00ip00in00":       nil,
		"of:Na/bT(null)Cvirtio,mmioC":                             {"virtio_mmio"},
		"pci":                                                     nil,
		"":                                                        nil,
		"acpi:PNP0103:":                                           nil,
	} {
		if got := a.Modules(device); !slices.Equal(got, want) {
			t.Errorf("%q: %q", device, got)
		}
	}
}

func TestAliasesOfAKernelWithoutModules(t *testing.T) {
	dir := t.TempDir()
	a, err := OpenAliases(filepath.Join(dir, "lib"), filepath.Join(dir, "etc"))
	if err != nil || !a.IsEmpty() || a.Modules("pci:v1") != nil {
		t.Errorf("%+v, %v", a, err)
	}
}

// FuzzAliases finds modules by the text of a device, which may be plugged in by anyone.
func FuzzAliases(f *testing.F) {
	f.Add("alias pci:v00008086d*sv*sd*bc01sc06i01* ahci\n", "blacklist ahci\n", "pci:v00008086d00002922sv0sd0bc01sc06i01")
	f.Add("alias acpi*:[A-\\]* x\n", "", "acpi:PNP0C0C:")
	f.Fuzz(func(t *testing.T, list, denied, device string) {
		dir := writeFiles(t, map[string]string{"lib/modules.alias": list, "etc/a.conf": denied})
		aliases, err := OpenAliases(filepath.Join(dir, "lib"), filepath.Join(dir, "etc"))
		if err != nil {
			return
		}
		names := aliases.Modules(device)
		for i, name := range names {
			if name == "" || slices.Contains(names[:i], name) || aliases.denied[name] {
				t.Fatalf("%q", names)
			}
		}
	})
}
