package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// share is a resource of which the kernel has a limited number for the machine or for a user, who
// is the same in several containers.
type share struct {
	// most exceeds the kernel's default limit.
	most int
	// take takes the next one, until the process ends.
	take func(number int) error
}

var shares = map[string]share{
	"terminals": {5000, func(int) error {
		_, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		return err
	}},
	"inotify": {9000, func(int) error {
		_, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		return err
	}},
	"pipes": {1500, func(int) error {
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			return err
		}
		if size, err := unix.FcntlInt(uintptr(ends[0]), unix.F_GETPIPE_SZ, 0); err != nil || size < 65536 {
			return fmt.Errorf("only %d bytes", size)
		}
		return nil
	}},
	"queues": {300, func(number int) error {
		name, err := unix.BytePtrFromString(fmt.Sprintf("%d-%d", os.Getpid(), number))
		if err != nil {
			return err
		}
		_, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600, 0, 0, 0)
		_, _, _ = unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(name)), 0, 0)
		return errorOf(errno)
	}},
	"timers": {20000, func(int) error {
		var id int32
		_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&id)))
		return errorOf(errno)
	}},
	"descriptors": {5000, sendDescriptors},
	"locks":       {10, lockMemory},
	"buffers":     {40, fillConnection},
}

// inFlight are the sockets that hold the descriptors in flight.
var inFlight [2]int

// sendDescriptors puts as many descriptors in flight as a message may have.
func sendDescriptors(number int) error {
	const most = 253           // SCM_MAX_FD
	files := make([]int, most) // all the same file
	rights := unix.UnixRights(files...)
	for {
		if number > 0 {
			err := unix.Sendmsg(inFlight[0], []byte{0}, rights, nil, unix.MSG_DONTWAIT)
			if !errors.Is(err, unix.EAGAIN) {
				return err
			}
		}
		var err error
		if inFlight, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		number++
	}
}

// lockMemory locks a megabyte of shared memory.
func lockMemory(int) error {
	const lock = 11 // SHM_LOCK
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 1<<20, unix.IPC_CREAT|0o600)
	if err != nil {
		return err
	}
	_, err = unix.SysvShmCtl(id, lock, nil)
	return err
}

// hasRoom reports whether the container may take more memory. At its limit, the OOM killer may end
// more than the process that holds the buffers, which the kernel frees late.
func hasRoom(size int) bool {
	var used, limit int
	for file, value := range map[string]*int{"memory.current": &used, "memory.max": &limit} {
		text, err := os.ReadFile("/sys/fs/cgroup/" + file)
		if err != nil {
			return true
		}
		if *value, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
			return true
		}
	}
	return used+size <= limit
}

// fillConnection opens a TCP connection and sends until its buffers are full: the other end does
// not read.
func fillConnection(number int) error {
	if number > 0 && !hasRoom(16<<20) {
		return unix.ENOMEM
	}
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Bind(listener, loopback), unix.Listen(listener, 1)); err != nil {
		return err
	}
	address, err := unix.Getsockname(listener)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Connect(client, address), unix.SetNonblock(client, true)); err != nil {
		return err
	}
	size, chunk := 0, make([]byte, 64<<10)
	for {
		n, err := unix.Write(client, chunk)
		if err != nil {
			break
		}
		size += n
	}
	if size < 128<<10 {
		return fmt.Errorf("only %d bytes", size)
	}
	return nil
}

// fewOf returns nil if the containers of a machine, each with the default limit, can together take
// all of what the kernel limits for the machine.
func fewOf(parameter string, limit uint64) error {
	const containers = 256
	text, err := os.ReadFile("/proc/sys/kernel/" + parameter)
	if err != nil {
		return err
	}
	most, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return err
	}
	if most < containers*limit {
		fmt.Printf("the machine has only %d of %s\n", most, parameter)
		return nil
	}
	return stopped("own limit")
}

func errorOf(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// Where the victim takes one of a resource: in the machine's network, and for those in another one.
const (
	sharesAddress = "127.0.0.1:4244"
	sharesSocket  = "/victim/shares"
)

// fillShare takes all of a resource in a child process, and meanwhile lets the victim take one as
// the same user.
func fillShare(name string) attempt {
	return attempt{"fill-" + name, func() error {
		c := exec.Command("/proc/self/exe", "hold", name)
		in, err := c.StdinPipe()
		if err != nil {
			return err
		}
		out, err := c.StdoutPipe()
		if err != nil {
			return err
		}
		if err := c.Start(); err != nil {
			return err
		}
		_, _ = out.Read(make([]byte, 1)) // until it holds all, or was killed
		problem, err := askVictim(name)
		_ = in.Close()
		_ = c.Wait()
		if err != nil {
			return err
		}
		if problem != "" {
			fmt.Printf("victim without %s: %s\n", name, problem)
			return nil
		}
		return stopped("own limit")
	}}
}

// hold takes all of a resource, and holds it until its input ends.
func hold(name string) {
	expendable()
	resource := shares[name]
	for number := range resource.most {
		// Pipes get smaller instead of failing.
		if err := resource.take(number); err != nil && name != "pipes" {
			fmt.Fprintf(os.Stderr, "%s %d: %v\n", name, number, err)
			break
		}
	}
	fmt.Println()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// askVictim returns the victim's problem with a resource, or "".
func askVictim(name string) (problem string, err error) {
	network, address := "tcp", sharesAddress
	if _, err := os.Stat(sharesSocket); err == nil {
		network, address = "unix", sharesSocket
	}
	connection, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	fmt.Fprintln(connection, name, os.Getuid())
	answer, err := io.ReadAll(connection)
	return strings.TrimSpace(string(answer)), err
}

// serveShares takes one of a resource for each client, in a process of its own.
func serveShares() error {
	for _, at := range [][2]string{{"tcp", sharesAddress}, {"unix", sharesSocket}} {
		listener, err := net.Listen(at[0], at[1])
		if err != nil {
			return err
		}
		go func() {
			for {
				if client, err := listener.Accept(); err == nil {
					takeFor(client)
				}
			}
		}()
	}
	return os.Chmod(sharesSocket, 0o666)
}

// takeFor takes one of a resource as the user that the client names, and sends the problem.
func takeFor(client net.Conn) {
	defer client.Close()
	var name string
	var uid uint32
	if _, err := fmt.Fscanln(client, &name, &uid); err != nil {
		_, _ = client.Write([]byte(err.Error()))
		return
	}
	c := exec.Command("/proc/self/exe", "take", name)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, NoSetGroups: true}}
	out, err := c.CombinedOutput()
	if err != nil && len(out) == 0 {
		out = []byte(err.Error())
	}
	_, _ = client.Write(out)
}

// takeOne prints the problem with a resource.
func takeOne(name string) {
	if err := shares[name].take(0); err != nil {
		fmt.Println(err)
	}
}

var shared = []attempt{
	fillShare("terminals"), fillShare("inotify"), fillShare("pipes"), fillShare("queues"), fillShare("timers"),
	fillShare("descriptors"), fillShare("locks"), fillShare("buffers"),
	{"machine-tasks", func() error {
		return anyOf([]string{"threads-max", "pid_max"}, func(name string) error { return fewOf(name, 2048) })
	}},
	{"machine-terminals", func() error { return fewOf("pty/max", 256) }},
	{"ipc-of-other", func() error {
		_, err := unix.SysvShmGet(victimShm, 0, 0)
		return err
	}},
	{"oom-score", func() error {
		score, err := os.ReadFile("/proc/self/oom_score_adj")
		if err != nil {
			return err
		}
		return stopped("score " + strings.TrimSpace(string(score)))
	}},
	{"oom-spare", func() error {
		err := write("/proc/self/oom_score_adj", "-1000")
		if errors.Is(err, unix.EPERM) {
			return unix.EACCES // which of both depends on the user
		}
		return err
	}},
	{"vsock", func() error { return anySocket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }},
}

// victimShm is the key of the victim's shared memory.
const victimShm = 0x766963
