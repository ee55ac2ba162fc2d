package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testRoles are started by the tests in processes of their own. The tests add paths and ports.
const testRoles = `{
	"silent": {"description": "writes", "uid": 65001, "memory": 16, "syscalls": ["read", "write"]},
	"poller": {"description": "waits", "uid": 65002, "memory": 16, "syscalls": ["read", "write", "ppoll", "ftruncate"]},
	"files": {
		"description": "opens files", "uid": 65003, "memory": 16, "threads": true, "descriptors": 20, "cpu": 10,
		"syscalls": ["read", "write", "openat", "close", "fcntl", "fstat", "epoll_ctl", "getpid"]
	},
	"client": {
		"description": "connects", "uid": 65004, "memory": 16, "threads": true, "descriptors": 20, "capabilities": ["NET_ADMIN"],
		"syscalls": ["read", "write", "socket inet", "connect", "close"]
	}
}`

// order is what a test wants of a process.
type order struct {
	Role, Action, Path string
	Read, Write        []string
	Connect            []uint16
	Port               uint16
	Files              int
}

// actions are tried by a process inside the sandbox.
var actions = map[string]func(order) error{
	"write": func(order) error {
		_, err := unix.Write(2, []byte("written"))
		return err
	},
	"memory": func(order) error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		return err
	},
	"collect": func(order) error {
		var kept [64][]byte
		for i := range 300 {
			kept[i%len(kept)] = make([]byte, 100_000)
			if i%50 == 0 { // so that Go sets its own timers meanwhile
				_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e7}, nil)
			}
		}
		runtime.GC()
		return nil
	},
	"sleep": func(order) error {
		time.Sleep(10 * time.Millisecond)
		return nil
	},
	// Interrupts a thread that waits for a later timer, and reads what Go's scheduler wrote.
	"wake": func(order) error {
		go time.Sleep(time.Hour)
		for range 20 {
			_ = unix.Nanosleep(&unix.Timespec{Nsec: 2e7}, nil)
			time.Sleep(time.Millisecond)
		}
		return nil
	},
	"clock": func(order) error {
		var now unix.Timespec
		return unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	},
	"open":   func(order) error { _, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0); return err },
	"socket": func(order) error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); return err },
	"netlink": func(order) error {
		_, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)
		return err
	},
	"executable memory": func(order) error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
		return err
	},
	"memory made executable": func(order) error {
		memory, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err == nil {
			err = unix.Mprotect(memory, unix.PROT_READ|unix.PROT_EXEC)
		}
		return err
	},
	"memory of a file": func(order) error { _, err := unix.Mmap(2, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE); return err },
	"signal":           func(order) error { return unix.Kill(1, 0) },
	"fork":             func(order) error { _, err := syscall.ForkExec("/bin/true", nil, nil); return err },
	"namespace":        func(order) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"setuid":           func(order) error { return unix.Setreuid(0, 0) },
	"bpf":              func(order) error { return unix.Prctl(unix.PR_SET_SECCOMP, 0, 0, 0, 0) },
	"ppoll":            func(order) error { _, err := unix.Ppoll(nil, &unix.Timespec{Nsec: 1}, nil); return err },
	"ftruncate":        func(order) error { return ignore(unix.Ftruncate(2, 0)) },
	"many threads": func(order) error {
		done := make(chan struct{})
		for range 20 {
			go func() {
				_ = unix.Nanosleep(&unix.Timespec{Nsec: 2e8}, nil)
				done <- struct{}{}
			}()
		}
		for range 20 {
			<-done
		}
		return nil
	},
	"fill memory": func(order) error {
		kept := make([][]byte, 0, 200)
		for range 200 {
			kept = append(kept, make([]byte, 1<<20))
		}
		return fmt.Errorf("has %d MiB", len(kept))
	},
	"compute": func(order) error {
		for i := 0; ; i++ {
			_ = i
		}
	},
	"read file": func(o order) error {
		_, err := onThreads(func() error { _, err := os.ReadFile(o.Path); return err })
		return err
	},
	"write file": func(o order) error { return os.WriteFile(o.Path, []byte("x"), 0o644) },
	"open many": func(o order) error {
		for range 100 {
			if _, err := unix.Open(o.Path, unix.O_RDONLY, 0); err != nil {
				return err
			}
		}
		return nil
	},
	"connect": func(o order) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrInet4{Port: int(o.Port), Addr: [4]byte{127, 0, 0, 1}})
	},
	// Until the test closes standard input.
	"wait with threads": func(order) error {
		for range 4 {
			go func() { _, _ = unix.Read(0, make([]byte, 1)) }()
		}
		for threads := 0; threads < 5; threads, _ = runtime.ThreadCreateProfile(nil) {
			_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
		}
		_, _ = unix.Write(2, []byte("waiting\n"))
		_, err := unix.Read(0, make([]byte, 1))
		return err
	},
	"wait": func(order) error {
		_, _ = unix.Write(2, []byte("waiting\n"))
		var b [1]byte
		_, err := unix.Read(0, b[:])
		return err
	},
	"descriptors": func(o order) error {
		var open []int
		for fd := range 64 {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				open = append(open, fd)
			}
		}
		var b [1]byte
		_, err := unix.Read(3, b[:])
		_, _ = unix.Write(2, fmt.Appendf(nil, "%v %s %v\n", open[:4], b, err))
		return nil
	},
}

// onThreads calls f on several threads at once, and returns the first error.
func onThreads(f func() error) (int, error) {
	const threads = 8
	results := make(chan error)
	for range threads {
		go func() {
			runtime.LockOSThread()
			_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e7}, nil)
			results <- f()
		}()
	}
	var failure error
	for range threads {
		if err := <-results; err != nil {
			failure = err
		}
	}
	return threads, failure
}

// ignore drops an error that the sandbox did not cause.
func ignore(error) error { return nil }

const orderVariable = "SANDBOX_TEST_ORDER"

func TestMain(m *testing.M) {
	var o order
	_, inside, err := Load("test", []byte(testRoles), &o)
	switch _, launcher := os.LookupEnv(orderVariable); {
	case inside != nil:
		err = perform(*inside, o)
	case launcher:
		err = launch()
	case err == nil:
		os.Exit(m.Run())
	}
	if err != nil {
		_, _ = unix.Write(2, []byte(err.Error()))
		os.Exit(1)
	}
	os.Exit(0)
}

func perform(role Role, o order) error {
	if err := o.restrict(role).Enter(); err != nil {
		return err
	}
	return actions[o.Action](o)
}

// restrict adds the paths and ports to a role.
func (o order) restrict(role Role) Role {
	role.Read, role.Write, role.Connect = o.Read, o.Write, o.Connect
	return role
}

func launch() error {
	var o order
	if _, err := fmt.Sscanf(os.Getenv(orderVariable), "%q %q %q %d", &o.Role, &o.Action, &o.Path, &o.Port); err != nil {
		return err
	}
	o.Read, o.Write = filepath.SplitList(os.Getenv("READ")), filepath.SplitList(os.Getenv("WRITE"))
	if o.Port != 0 && os.Getenv("CONNECT") != "" {
		o.Connect = []uint16{o.Port}
	}
	roles, err := Parse("test", []byte(testRoles))
	if err != nil {
		return err
	}
	role := o.restrict(roles[o.Role])
	if os.Getenv("START") == "" {
		return role.Exec(o)
	}
	var pipe, secret [2]int
	if err := errors.Join(unix.Pipe(pipe[:]), unix.Pipe(secret[:])); err != nil {
		return err
	}
	_, _ = unix.Write(pipe[1], []byte("x"))
	if err := role.Start(o, pipe[0]); err != nil {
		return err
	}
	_, err = unix.Wait4(-1, nil, 0, nil)
	return err
}

// command returns a launcher that becomes the role and performs the action.
func command(t *testing.T, o order, environment ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("changing the user needs root")
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(environment, orderVariable+"="+fmt.Sprintf("%q %q %q %d", o.Role, o.Action, o.Path, o.Port))
	return c
}

func TestRoleAllowsOnlyItsSystemCalls(t *testing.T) {
	always := []string{"write", "memory", "collect", "clock", "sleep", "wake"}
	for role, more := range map[string]string{
		"silent": "", "poller": "ppoll,ftruncate", "files": "many threads,open", "client": "many threads,socket",
	} {
		may := map[string]bool{}
		for _, name := range append(always, strings.Split(more, ",")...) {
			may[name] = true
		}
		for _, action := range []string{
			"write", "memory", "collect", "clock", "sleep", "wake", "open", "socket", "netlink", "executable memory", "memory made executable",
			"memory of a file", "signal", "fork", "namespace", "setuid", "bpf", "ppoll", "ftruncate", "many threads",
		} {
			t.Run(role+" "+action, func(t *testing.T) {
				out, err := command(t, order{Role: role, Action: action}, "READ=/etc").CombinedOutput()
				if killed := isKilledBy(err, syscall.SIGSYS); killed == may[action] || err != nil && !killed {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

func isKilledBy(err error, signal syscall.Signal) bool {
	var ended *exec.ExitError
	return errors.As(err, &ended) && ended.Sys().(syscall.WaitStatus).Signal() == signal
}

func TestEveryThreadHasThePrivilegesOfItsRole(t *testing.T) {
	for role, want := range map[string][]string{
		"silent": {"Uid:\t65001\t65001\t65001\t65001", "CapPrm:\t0000000000000000", "CapAmb:\t0000000000000000"},
		"client": {"Uid:\t65004\t65004\t65004\t65004", "CapPrm:\t0000000000001000", "CapAmb:\t0000000000001000"},
	} {
		c := command(t, order{Role: role, Action: "wait"})
		if role == "client" {
			c = command(t, order{Role: role, Action: "wait with threads"})
		}
		input, _ := c.StdinPipe()
		output, _ := c.StderrPipe()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(output, make([]byte, len("waiting\n")))
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.Process.Pid))
		if len(tasks) < 4 {
			t.Errorf("%s: %d threads", role, len(tasks))
		}
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			for _, line := range append(want, "NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t"+strings.Fields(want[1])[1], "Groups:\t ") {
				if !strings.Contains(string(text), line+"\n") {
					t.Errorf("%s: %s lacks %q", role, task, line)
				}
			}
		}
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", c.Process.Pid)); string(comm) != "test-"+role+"\n" {
			t.Errorf("name %q", comm)
		}
		limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", c.Process.Pid))
		for _, line := range strings.Split(string(limits), "\n") {
			if f := strings.Fields(line); strings.HasPrefix(line, "Max core") && f[4] != "0" || strings.HasPrefix(line, "Max data") && f[3] == "unlimited" {
				t.Error(line)
			}
		}
		input.Close()
		_ = c.Wait()
	}
}

func TestRoleOpensOnlyItsPaths(t *testing.T) {
	needLandlock(t)
	// A directory that every user may search.
	dir, err := os.MkdirTemp("/var/tmp", "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range []string{"read", "write", "neither"} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o777), os.WriteFile(filepath.Join(dir, name, "file"), nil, 0o666)); err != nil {
			t.Fatal(err)
		}
		_ = errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, name), 0o777), os.Chmod(filepath.Join(dir, name, "file"), 0o666))
	}
	for _, row := range []struct {
		action, path string
		may          bool
	}{
		{"read file", "read/file", true}, {"read file", "write/file", true}, {"read file", "neither/file", false},
		{"write file", "read/file", false}, {"write file", "write/file", true}, {"write file", "write/new", true},
		{"write file", "neither/new", false}, {"write file", "read/../neither/file", false},
	} {
		out, err := command(t, order{Role: "files", Action: row.action, Path: filepath.Join(dir, row.path)},
			"READ="+dir+"/read:"+dir+"/absent", "WRITE="+dir+"/write").CombinedOutput()
		if (err == nil) != row.may || err != nil && !strings.Contains(string(out), "permission denied") {
			t.Errorf("%s %s: %v: %s", row.action, row.path, err, out)
		}
	}
}

func TestRoleConnectsOnlyToItsPorts(t *testing.T) {
	needLandlock(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o := order{Role: "client", Action: "connect", Port: uint16(listener.Addr().(*net.TCPAddr).Port)}
	if out, err := command(t, o, "CONNECT=1").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := command(t, o).CombinedOutput(); err == nil || !strings.Contains(string(out), "permission denied") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestLimitsEndTheProcess(t *testing.T) {
	out, err := command(t, order{Role: "silent", Action: "fill memory"}).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "out of memory") {
		t.Errorf("memory: %v: %s", err, out)
	}
	out, err = command(t, order{Role: "files", Action: "compute"}).CombinedOutput()
	if !isKilledBy(err, syscall.SIGKILL) {
		t.Errorf("processor time: %v: %s", err, out)
	}
	out, err = command(t, order{Role: "files", Action: "open many", Path: "/etc/passwd"}, "READ=/etc/passwd").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "too many open files") {
		t.Errorf("descriptors: %v: %s", err, out)
	}
}

func TestStartPassesOnlyItsFiles(t *testing.T) {
	out, err := command(t, order{Role: "files", Action: "descriptors"}, "START=1").CombinedOutput()
	// 4 is the epoll descriptor of Go's timers.
	if err != nil || string(out) != "[0 1 2 3] x <nil>\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// needLandlock skips a test on a machine whose kernel has no Landlock.
func needLandlock(t *testing.T) {
	t.Helper()
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 {
		t.Skipf("landlock: %v", errno)
	}
}
