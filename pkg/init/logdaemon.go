package main

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/logd"
	"lkt/init/logs"
	"lkt/sandbox"
)

// logOOMScore makes the OOM killer spare the daemon, which every container needs: only PID 1 and
// containerd come before it.
const logOOMScore = -900

// supervise runs the daemon, and restarts it when it exits.
func (l *logging) supervise(writers, queries *os.File, started chan<- struct{}) {
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		begin := uptime()
		err := l.run(writers, queries, started)
		if l.stopping.Load() {
			return
		}
		if uptime()-begin > time.Minute {
			pause = time.Second
		}
		time.Sleep(pause)
		step("log daemon exited (%v), restarted after %v", err, pause)
	}
}

func (l *logging) run(writers, queries *os.File, started chan<- struct{}) error {
	control, theirs, err := controlPair()
	if err != nil {
		return err
	}
	defer control.Close()
	_, done, err := l.children.startAs(program{
		path: "/proc/self/exe", args: []string{"logd"}, out: os.Stderr, extra: []*os.File{theirs, writers, queries},
		sys: &unix.SysProcAttr{
			Setsid: true, Cloneflags: unix.CLONE_NEWIPC, Credential: &syscall.Credential{Uid: logUser, Gid: logUser},
		},
		oomScore: logOOMScore,
	})
	theirs.Close()
	if err != nil {
		return err
	}
	l.mutex.Lock()
	l.control = control
	for name := range l.pipes {
		_ = l.passPipe(name)
	}
	l.mutex.Unlock()
	select {
	case started <- struct{}{}:
	default:
	}
	status := <-done
	l.mutex.Lock()
	l.control = nil
	l.mutex.Unlock()
	if err := statusError(status); err != nil {
		return err
	}
	return os.ErrProcessDone
}

// controlPair returns both ends of the control socket, the second for the daemon.
func controlPair() (*net.UnixConn, *os.File, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	defer ours.Close()
	connection, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return connection.(*net.UnixConn), theirs, nil
}

// listen creates a Unix socket that only root can use.
func listen(path string, kind int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err == nil && kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

//go:embed roles.json
var rolesFile []byte

// logDaemon is the main function of this program under the name "logd", and again in the role that
// the settings need. Without a syslog server the daemon cannot open sockets.
func logDaemon() error {
	var setup logd.Setup
	roles, role, err := sandbox.Load("init", rolesFile, &setup)
	if err != nil {
		return err
	}
	if role == nil {
		return execLogDaemon(roles, logs.Dir, logd.Load())
	}
	return logd.Main(setup, role.Enter)
}

// execLogDaemon replaces this process by the daemon in its role, with the sockets of PID 1.
func execLogDaemon(roles sandbox.Roles, dir string, setup logd.Setup) error {
	role := roles["logd"]
	if setup.Settings.Network != "" {
		role = roles["sender"]
		if port := setup.Settings.Port(); setup.Settings.Network == "tcp" {
			role.Connect = append(role.Connect, port)
		}
	}
	setup.Dir, role.Write = dir, []string{dir}
	return role.Exec(setup, logd.ControlFD, logd.WritersFD, logd.QueriesFD)
}
