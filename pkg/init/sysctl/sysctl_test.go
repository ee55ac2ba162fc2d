package sysctl

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
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

func TestApplyInOrder(t *testing.T) {
	root := tree(t, map[string]string{"kernel/a": "0", "net/ipv4/conf/eth0.5/b": "0", "kernel/modprobe": "/sbin/modprobe"})
	dir := tree(t, map[string]string{
		"10-b.conf": "kernel.a = 2\n; other comment\nkernel.modprobe=\n",
		"00-a.conf": "# comment\n\nkernel.a=1\nnet/ipv4/conf/eth0.5/b = 3 4\nkernel.absent = 1\n",
		"ignored":   "kernel.a = 9\n",
	})
	failures, err := Apply(dir, root, t.Logf)
	if err != nil || failures != 0 {
		t.Fatalf("%d failures, %v", failures, err)
	}
	for name, want := range map[string]string{"kernel/a": "2\n", "net/ipv4/conf/eth0.5/b": "3 4\n"} {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(root, "kernel/modprobe")); got[0] != '\n' {
		t.Errorf("modprobe: %q", got)
	}
}

func TestApplySetsLastValueOnly(t *testing.T) {
	root := tree(t, map[string]string{"kernel/yama/ptrace_scope": "0"})
	dir := tree(t, map[string]string{
		"00-a.conf": "kernel.yama.ptrace_scope = 3\n", "90-b.conf": "kernel/yama/ptrace_scope = 1\n",
	})
	settings, err := readFiles(dir)
	if err != nil || len(settings) != 1 {
		t.Fatalf("%v, %v", settings, err)
	}
	if failures, err := Apply(dir, root, t.Errorf); err != nil || failures != 0 {
		t.Fatalf("%d failures, %v", failures, err)
	}
	if got, _ := os.ReadFile(filepath.Join(root, "kernel/yama/ptrace_scope")); string(got) != "1\n" {
		t.Errorf("got %q", got)
	}
}

func TestApplyNotesUnknownParameters(t *testing.T) {
	root := tree(t, map[string]string{"kernel/a": "0"})
	dir := tree(t, map[string]string{"a.conf": "kernel.absent = 1\n-kernel.old = 1\nkernel.a = 1\n"})
	var notes []string
	failures, err := Apply(dir, root, func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) })
	if err != nil || failures != 0 {
		t.Fatalf("%d failures, %v", failures, err)
	}
	if want := dir + "/a.conf:1: unknown parameter kernel.absent"; len(notes) != 1 || notes[0] != want {
		t.Errorf("%q", notes)
	}
}

func TestApplyCountsFailures(t *testing.T) {
	root := tree(t, map[string]string{"kernel/dir/x": "", "kernel/old/x": "", "kernel/a": "0"})
	dir := tree(t, map[string]string{"a.conf": "kernel.dir = 1\n-kernel.old = 1\nkernel.a = 1\n"})
	failures, err := Apply(dir, root, t.Logf)
	if err != nil || failures != 1 {
		t.Fatalf("%d failures, %v", failures, err)
	}
	if got, _ := os.ReadFile(filepath.Join(root, "kernel/a")); string(got) != "1\n" {
		t.Errorf("got %q", got)
	}
}

func TestApplySetsMatchesOfPattern(t *testing.T) {
	root := tree(t, map[string]string{
		"net/ipv6/conf/all/accept_ra": "1", "net/ipv6/conf/eth0/accept_ra": "1", "net/ipv6/conf/eth0.5/accept_ra": "1",
		"net/ipv6/conf/eth1/accept_ra": "1",
	})
	dir := tree(t, map[string]string{
		"00-a.conf": "net.ipv6.conf.eth1.accept_ra = 2\nnet.ipv6.conf.*.accept_ra = 0\n", "50-b.conf": "net.none.*.x = 1\n",
	})
	if failures, err := Apply(dir, root, t.Errorf); err != nil || failures != 0 {
		t.Fatalf("%d failures, %v", failures, err)
	}
	for name, want := range map[string]string{"all": "0\n", "eth0": "0\n", "eth0.5": "0\n", "eth1": "2\n"} {
		if got, err := os.ReadFile(filepath.Join(root, "net/ipv6/conf", name, "accept_ra")); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestDefaultsRejectRouterAdvertisements(t *testing.T) {
	root := tree(t, map[string]string{"net/ipv6/conf/eth0/accept_ra": "1", "net/ipv6/conf/default/accept_ra": "1"})
	if _, err := Apply(".", root, func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eth0", "default"} {
		if got, err := os.ReadFile(filepath.Join(root, "net/ipv6/conf", name, "accept_ra")); err != nil || string(got) != "0\n" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestApplyRejectsInvalidFile(t *testing.T) {
	for _, text := range []string{"kernel.a\n", "= 1\n", "kernel..a = 1\n", "../a = 1\n", "kernel/../../a = 1\n", "kernel.a b = 1\n", "kernel.[a = 1\n"} {
		root := tree(t, map[string]string{"kernel/a": "0"})
		dir := tree(t, map[string]string{"a.conf": "kernel.a = 1\n" + text})
		if _, err := Apply(dir, root, t.Logf); err == nil {
			t.Errorf("%q: accepted", text)
		}
		if got, _ := os.ReadFile(filepath.Join(root, "kernel/a")); string(got) != "0" {
			t.Errorf("%q: set %q", text, got)
		}
	}
}

func TestDefaultsAreValid(t *testing.T) {
	settings, err := readFiles(".")
	if err != nil || len(settings) < 40 {
		t.Fatalf("%d settings, %v", len(settings), err)
	}
}

func TestKeyPath(t *testing.T) {
	for key, want := range map[string]string{
		"kernel.a": "kernel/a", "kernel/a": "kernel/a", "net.ipv4.conf.eth0/5.x": "net/ipv4/conf/eth0.5/x",
		"net/ipv4/conf/eth0.5/x": "net/ipv4/conf/eth0.5/x",
	} {
		if got := keyPath(key); got != want {
			t.Errorf("%s: got %s", key, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("kernel.a = 1\n-net/b=2\n")
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := parse("f", text)
		if err != nil {
			return
		}
		for _, s := range settings {
			if p := filepath.Join("/proc/sys", keyPath(s.key)); len(p) <= len("/proc/sys/") || p[:10] != "/proc/sys/" {
				t.Fatalf("%q leads to %s", s.key, p)
			}
		}
	})
}
