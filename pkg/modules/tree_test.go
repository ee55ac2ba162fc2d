package modules

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module returns a minimal ELF file with the given dependencies.
func module(depends string) []byte {
	info := "license=GPL\x00depends=" + depends + "\x00name=x\x00"
	names := "\x00.modinfo\x00.shstrtab\x00"
	header := elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: 1, Machine: 62, Version: 1, Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2}
	header.Shoff = 64 + uint64(len(info)+len(names))
	out, _ := binary.Append(nil, binary.LittleEndian, header)
	out = append(out, info+names...)
	for _, s := range []elf.Section64{
		{}, {Name: 1, Type: 1, Off: 64, Size: uint64(len(info))}, {Name: 10, Type: 3, Off: 64 + uint64(len(info)), Size: uint64(len(names))},
	} {
		out, _ = binary.Append(out, binary.LittleEndian, s)
	}
	return out
}

func modules(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := []byte(text)
		if depends, found := strings.CutPrefix(text, "depends="); found {
			data = module(depends)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Open(filepath.Join(dir, "lib"), filepath.Join(dir, "sys"))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// loads returns the files that are loaded, in order.
func loads(tree *Tree, name string) (order []string, err error) {
	err = tree.Load(name, "a=1", func(path, parameters string) error {
		order = append(order, strings.TrimSpace(filepath.Base(path)+" "+parameters))
		return nil
	})
	return order, err
}

func TestLoadsDependenciesFirst(t *testing.T) {
	tree := modules(t, map[string]string{
		"lib/kernel/net/wireguard.ko":      "depends=udp_tunnel,lib-chacha,in_it,there",
		"lib/kernel/net/udp_tunnel.ko":     "depends=",
		"lib/kernel/lib/lib-chacha.ko":     "depends=udp_tunnel",
		"lib/kernel/lib/there.ko":          "depends=",
		"lib/kernel/lib/turns.ko":          "depends=turns2",
		"lib/kernel/lib/turns2.ko":         "depends=turns",
		"lib/kernel/lib/none.ko":           "not an ELF file, but as long as one",
		"lib/kernel/lib/lacks.ko":          "depends=absent",
		"lib/modules.builtin":              "kernel/in-it.ko\n",
		"sys/there/initstate":              "live",
		"lib/kernel/lib/lib-chacha.notmod": "",
	})
	order, err := loads(tree, "wireguard")
	// The kernel reports duplicates as already loaded.
	want := []string{"udp_tunnel.ko", "lib-chacha.ko", "udp_tunnel.ko", "wireguard.ko a=1"}
	if err != nil || !slices.Equal(order, want) {
		t.Errorf("%q, %v", order, err)
	}
	for name, want := range map[string]string{
		"turns": "dependency cycle", "none": "not a module", "lacks": "dependency absent: no such module", "../there": "no such module",
	} {
		if order, err := loads(tree, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", name, order, err)
		}
	}
	if order, err := loads(tree, "in-it"); err != nil || order != nil {
		t.Errorf("in the kernel: %q, %v", order, err)
	}
}

func TestUsesModulesDep(t *testing.T) {
	tree := modules(t, map[string]string{
		"lib/kernel/a.ko.xz": "", "lib/kernel/b.ko.xz": "", "lib/kernel/c.ko.xz": "", "lib/kernel/d.ko.xz": "",
		"lib/modules.dep": "kernel/a.ko.xz: kernel/b.ko.xz kernel/c.ko.xz\nkernel/b.ko.xz: kernel/c.ko.xz\nkernel/c.ko.xz:\n",
	})
	order, err := loads(tree, "a")
	if err != nil || !slices.Equal(order, []string{"c.ko.xz", "c.ko.xz", "b.ko.xz", "a.ko.xz a=1"}) {
		t.Errorf("%q, %v", order, err)
	}
	if _, err := loads(tree, "d"); err == nil || !strings.Contains(err.Error(), "the module is compressed") {
		t.Error(err)
	}
}

func TestLoadStopsAtFailure(t *testing.T) {
	tree := modules(t, map[string]string{"lib/a.ko": "depends=b", "lib/b.ko": "depends="})
	refused := errors.New("refused")
	count := 0
	err := tree.Load("a", "", func(string, string) error { count++; return refused })
	if !errors.Is(err, refused) || count != 1 {
		t.Errorf("%d, %v", count, err)
	}
}

// FuzzDepends reads a module's dependencies from its ELF file, and compares its section with what
// debug/elf finds, unless that is compressed or not in the file.
func FuzzDepends(f *testing.F) {
	f.Add(module("a,b"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.ko")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		names, err := depends(path)
		if err == nil && slices.Contains(names, "") {
			t.Fatalf("%q", names)
		}
		got, err := modinfo(bytes.NewReader(data))
		file, failure := elf.NewFile(bytes.NewReader(data))
		if failure != nil || file.Class != elf.ELFCLASS64 || file.Data != elf.ELFDATA2LSB {
			return
		}
		section := file.Section(".modinfo")
		if section == nil || section.Type == elf.SHT_NOBITS || section.Flags&elf.SHF_COMPRESSED != 0 || section.Size > maxModinfo {
			return
		}
		want, failure := section.Data()
		if (err == nil) != (failure == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q, %v instead of %q, %v", got, err, want, failure)
		}
	})
}
