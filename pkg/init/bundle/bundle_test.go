package bundle

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const writable = `{
    "cgroups": [],
    "mounts": [
        {"destination": "/b/tmp", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/b/tmp", "options": ["remount", "private"]},
        {"destination": "/b/rootfs", "type": "overlay", "source": "overlay",
         "options": ["lowerdir=/b/lower", "upperdir=/b/tmp/upper", "workdir=/b/tmp/work"]}
    ],
    "mkdir": ["/var/lib/x"],
    "interfaces": [],
    "bindNS": {"net": "/run/netns/x"},
    "namespace": ""
}`

func load(t *testing.T, text string) (*Runtime, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "runtime.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(dir)
}

func TestLoad(t *testing.T) {
	r, err := load(t, writable)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Mounts) != 3 || r.Mounts[2].Type != "overlay" || r.Mkdir[0] != (Directory{Path: "/var/lib/x"}) {
		t.Errorf("got %+v", r)
	}
	if !r.NeedsProcess() || r.BindNS.pairs()["net"] != "/run/netns/x" {
		t.Errorf("namespaces %v", r.BindNS.pairs())
	}
}

func TestLoadWithoutRuntimeJSON(t *testing.T) {
	r, err := Load(t.TempDir())
	if err != nil || r.NeedsProcess() || len(r.Mounts) != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestLoadRejectsInvalidJSON(t *testing.T) {
	if _, err := load(t, `{"mounts": [`); err == nil {
		t.Error("accepted")
	}
}

func TestAttachProcessReportsAnInterface(t *testing.T) {
	r, err := load(t, `{"interfaces": [{"name": "v0", "add": "veth"}]}`)
	if err != nil || !r.NeedsProcess() {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := r.AttachProcess(os.Getpid()); err == nil || err.Error() != "network interface v0: a veth needs a peer" {
		t.Error(err)
	}
}

func TestParseOptions(t *testing.T) {
	o := parseOptions([]string{"rbind", "ro", "rw", "ro", "rslave", "size=1m", "workdir=/w"})
	if o.set != unix.MS_BIND|unix.MS_REC|unix.MS_RDONLY {
		t.Errorf("set %x", o.set)
	}
	if o.propagation != unix.MS_SLAVE|unix.MS_REC {
		t.Errorf("propagation %x", o.propagation)
	}
	if len(o.data) != 2 || o.data[0] != "size=1m" || len(o.dirs) != 1 || o.dirs[0] != "/w" {
		t.Errorf("data %v, dirs %v", o.data, o.dirs)
	}
}

func TestNewMountsDefaultToNosuidNodev(t *testing.T) {
	if got := hardenFlags(0, 0); got != unix.MS_NOSUID|unix.MS_NODEV {
		t.Errorf("got %x", got)
	}
	if got := hardenFlags(unix.MS_RDONLY, parseOptions([]string{"suid"}).clear); got != unix.MS_RDONLY|unix.MS_NODEV {
		t.Errorf("got %x", got)
	}
}

func TestMountsOfDisksCannotPanicTheMachine(t *testing.T) {
	for kind, want := range map[string]string{"ext4": "data=ordered,errors=remount-ro", "xfs": "data=ordered"} {
		if got := (Mount{Type: kind}).data(parseOptions([]string{"rw", "data=ordered"})); got != want {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

func TestMakeCgroupEnablesControllers(t *testing.T) {
	root := t.TempDir()
	write := func(dir string) {
		for name, text := range map[string]string{"cgroup.controllers": "cpu pids\n", "cgroup.subtree_control": ""} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(root)
	if err := os.Mkdir(filepath.Join(root, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(root, "a"))
	if err := MakeCgroup(root, "../a/b"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{root, filepath.Join(root, "a")} {
		got, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		if err != nil || string(got) != "+cpu+pids" {
			t.Errorf("%s: %q %v", dir, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "a", "b")); err != nil {
		t.Error(err)
	}
}

// TestUndoKeepsMountsOfTheMachine runs in a mount namespace of its own.
func TestUndoKeepsMountsOfTheMachine(t *testing.T) {
	if os.Getenv("LKT_TEST_MOUNTS") != "" {
		testUndo(t)
		return
	}
	again := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), "LKT_TEST_MOUNTS=1")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func testUndo(t *testing.T) {
	dir, shared := t.TempDir(), t.TempDir()
	if err := os.Mkdir(dir+"/rootfs", 0o755); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(shared+"/data", syscall.MNT_DETACH)
	tmpfs := func(destination string) Mount {
		return Mount{Destination: destination, Type: "tmpfs", Source: "tmpfs"}
	}
	mounted := func() (paths []string) {
		text, err := os.ReadFile("/proc/self/mounts")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if fields := strings.Fields(line); len(fields) > 1 && (strings.HasPrefix(fields[1], dir+"/") || strings.HasPrefix(fields[1], shared+"/")) {
				paths = append(paths, strings.NewReplacer(dir, "DIR", shared, "SHARED").Replace(fields[1]))
			}
		}
		return paths
	}
	r := Runtime{Mounts: []Mount{tmpfs(dir + "/tmp"), tmpfs(shared + "/data"), tmpfs("inside")}}
	undo, err := r.Prepare(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(mounted(), " "); got != "DIR/tmp SHARED/data DIR/rootfs/inside" {
		t.Error(got)
	}
	undo()
	if got := strings.Join(mounted(), " "); got != "SHARED/data" {
		t.Error(got)
	}
	// One that fails leaves none of its own.
	r = Runtime{Mounts: []Mount{tmpfs(shared + "/more"), {Destination: shared + "/bad", Type: "none-such", Source: "x"}}}
	if _, err := r.Prepare(dir); err == nil {
		t.Error("mounted")
	}
	if got := strings.Join(mounted(), " "); got != "SHARED/data" {
		t.Error(got)
	}
}
