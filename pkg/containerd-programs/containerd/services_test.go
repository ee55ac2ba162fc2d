package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestBundleDirRejectsPaths(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../etc", "a/b"} {
		if _, err := bundleDir(name); err == nil {
			t.Errorf("%q: accepted", name)
		}
	}
}

func TestSpecSetsRootAndCgroupsPath(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"process": {"args": ["a"]}, "root": {"path": "rootfs"}, "linux": {}}`)
	spec, release, err := (&services{}).spec(dir, "x")
	if err != nil || spec.Root.Path != dir+"/rootfs" || spec.Linux.CgroupsPath != "/services/x" || len(spec.Linux.ReadonlyPaths) == 0 {
		t.Fatalf("got %+v, %v", spec, err)
	}
	release()
	write(`{"root": {"path": "rootfs"}}`)
	if _, _, err := (&services{}).spec(dir, "x"); err == nil {
		t.Error("accepted a spec without a process")
	}
	write(`{"process": {}, "root": {"path": "rootfs"}, "linux": {}, "mounts": [{"destination": "/a", "type": "bind", "source": "/no/such"}]}`)
	if _, _, err := (&services{bindsDir: t.TempDir()}).spec(dir, "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestLoadRuntime(t *testing.T) {
	dir := t.TempDir()
	if r, err := loadRuntime(dir); err != nil || r.namespace() != defaultNamespace {
		t.Errorf("got %+v, %v", r, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "runtime.json"), []byte(`{"namespace": "n", "interfaces": [{"name": "x", "add": "veth"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := loadRuntime(dir)
	if err != nil || r.namespace() != "n" || r.attach(1) == nil {
		t.Errorf("got %+v, %v", r, err)
	}
}
