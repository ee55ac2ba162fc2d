package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const aarch64 = `:qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:` +
	`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64:OPF`

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	all, err := parse("a.conf", "# comment\n; comment\n\n "+aarch64+"\n,script,E,,sh,,/bin/x,\n")
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if one := all[0]; one.where != "a.conf:4" || one.name != "qemu-aarch64" || one.interpreter != "/usr/bin/qemu-aarch64" || one.line != aarch64 {
		t.Errorf("%+v", one)
	}
	if one := all[1]; one.where != "a.conf:5" || one.name != "script" || one.interpreter != "/bin/x" {
		t.Errorf("%+v", one)
	}
}

func TestParseRejects(t *testing.T) {
	for line, want := range map[string]string{
		":a":                       "must be :name",
		":a:M::x::/bin/x":          "must be :name",
		":a:M::x::/bin/x:F:":       "must be :name",
		"::M::x::/bin/x:F":         `invalid name ""`,
		":..:M::x::/bin/x:F":       `invalid name ".."`,
		":a/b:M::x::/bin/x:F":      `invalid name "a/b"`,
		":status:M::x::/bin/x:F":   `invalid name "status"`,
		":register:M::x::/bin/x:F": `invalid name "register"`,
		":a:X::x::/bin/x:F":        `type "X"`,
		":a:M::x::bin/x:F":         `interpreter "bin/x"`,
		":a:M::x:::F":              `interpreter ""`,
		":a:M::x::/bin/x:FZ":       `flags "FZ"`,
		":a:M::\x00::/bin/x:F":     "control character",
		":a:M::x::/" + strings.Repeat("x", maxLine) + ":F": "exceeds",
	} {
		if all, err := parse("a.conf", "# first\n"+line); err == nil || !strings.HasPrefix(err.Error(), "a.conf:2: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v", line, all, err)
		}
	}
}

func TestReadTakesTheLaterFileOfAName(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/usr/b.conf", ":b:M::x::/usr/b:")
	put(t, dir+"/usr/c.conf", ":c:M::x::/usr/c:")
	put(t, dir+"/etc/a.conf", ":a:M::x::/etc/a:")
	put(t, dir+"/etc/b.conf", ":b:M::x::/etc/b:")
	put(t, dir+"/etc/c.conf", "")
	put(t, dir+"/etc/README", "text")
	all, err := read([]string{dir + "/usr", dir + "/absent", dir + "/etc"})
	if err != nil || len(all) != 2 || all[0].interpreter != "/etc/a" || all[1].interpreter != "/etc/b" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestChoose(t *testing.T) {
	all := []format{{name: "qemu-aarch64"}, {name: "qemu-arm"}, {name: "wine"}}
	for names, want := range map[string]string{
		"": "[qemu-aarch64 qemu-arm wine]", "arm64": "[qemu-aarch64]", "aarch64 wine": "[qemu-aarch64 wine]",
		"qemu-arm": "[qemu-arm]", "arm": "[qemu-arm]",
	} {
		chosen, err := choose(all, strings.Fields(names))
		var got []string
		for _, one := range chosen {
			got = append(got, one.name)
		}
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v", names, got, err)
		}
	}
	if _, err := choose(all, []string{"arm", "riscv64"}); err == nil || !strings.HasSuffix(err.Error(), `no format "riscv64"`+"\n  fix: name one of aarch64, arm, wine") {
		t.Error(err)
	}
}

// TestRun registers with a kernel, in a user namespace, which has formats of its own (Linux 6.7).
func TestRun(t *testing.T) {
	if os.Getenv("LKT_TEST_INSIDE") != "" {
		testRun(t)
		return
	}
	again := exec.Command("/proc/self/exe", "-test.run=^TestRun$", "-test.v")
	again.Env = append(os.Environ(), "LKT_TEST_INSIDE=1")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func testRun(t *testing.T) {
	dir := t.TempDir()
	mount := dir + "/binfmt_misc"
	if err := os.Mkdir(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("binfmt_misc", mount, "binfmt_misc", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(mount, syscall.MNT_DETACH)
	put(t, dir+"/first", "#!/bin/sh\n")
	put(t, dir+"/second", "#!/bin/sh\n")
	line := func(name, interpreter string) string {
		return ":" + name + ":E::lkt-test::" + dir + "/" + interpreter + ":F\n"
	}
	try := func(text string, names ...string) (string, error) {
		put(t, dir+"/conf/a.conf", text)
		var out strings.Builder
		err := run(append([]string{"-dir", dir + "/conf", "--mount", mount}, names...), &out)
		return out.String(), err
	}
	// A line that the kernel rejects does not stop the next.
	out, err := try(line("one", "first") + line("two", "absent") + line("three", "second"))
	if err == nil || !strings.Contains(err.Error(), "a.conf:2: two: ") || strings.Contains(err.Error(), ":1: ") {
		t.Error(err)
	}
	if out != "binfmt: one is interpreted by "+dir+"/first\nbinfmt: three is interpreted by "+dir+"/second\n" {
		t.Error(out)
	}
	// Again, with another interpreter: it replaces the first.
	if _, err := try(line("one", "second")+line("four", "first"), "one"); err != nil {
		t.Error(err)
	}
	shown, err := os.ReadFile(mount + "/one")
	if err != nil || !strings.HasPrefix(string(shown), "enabled\ninterpreter "+dir+"/second\nflags: F\n") {
		t.Errorf("%q, %v", shown, err)
	}
	if _, err := os.Stat(mount + "/four"); err == nil {
		t.Error("registered what was not named")
	}
	// An invalid line: nothing is registered, or removed.
	if _, err := try(line("five", "first") + ":status:E::x::/bin/x:F\n"); err == nil {
		t.Error("accepted")
	}
	for name, want := range map[string]bool{"one": true, "three": true, "five": false} {
		if _, err := os.Stat(mount + "/" + name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Without the kernel's file system.
	if err := run([]string{"-dir", dir + "/conf", "-mount", dir}, &strings.Builder{}); err == nil {
		t.Error("registered without a kernel")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(aarch64)
	f.Add("# x\n,a,E,,x,,/bin/x,POCF")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parse("f", text)
		if err != nil {
			return
		}
		for _, one := range all {
			if path := filepath.Join("/m", one.name); filepath.Dir(path) != "/m" || one.name == "register" || one.name == "status" || one.interpreter[0] != '/' || len(one.line) > maxLine || strings.ContainsAny(one.line, "\n\x00") {
				t.Fatalf("%q is %+v", text, one)
			}
		}
	})
}
