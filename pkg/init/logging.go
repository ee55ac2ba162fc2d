package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/logd"
	"lkt/init/logs"
)

const (
	// ownLog is the log of PID 1's steps.
	ownLog = "init"
	// logUser is the user ID of the log daemon alone.
	logUser = 514
	// fifoDir has a named pipe for each source, so that containerd's shims can open them as well.
	fifoDir = "/run/lkt/logs"
	// writersPath and queriesPath are the sockets of LinuxKit's memlogd; clients use /var/run.
	writersPath = "/run/linuxkit-external-logging.sock"
	queriesPath = "/run/memlogdq.sock"
)

// logging passes the output of containers to the log daemon, an unprivileged process. If the daemon
// exits, it is restarted and reads the output written meanwhile, because PID 1 holds the pipes
// open.
type logging struct {
	children *reaper
	settings logd.Settings
	stopping atomic.Bool

	mutex sync.Mutex
	// pipes are open for reading and writing, so that they never reach end of file.
	pipes   map[string]*os.File
	control *net.UnixConn
}

// startLogging starts the daemon. When it returns, the daemon reads every pipe that is opened. If
// the daemon cannot be started, it reports that, and there are no logs.
func startLogging(children *reaper) *logging {
	l := &logging{children: children, settings: logd.Load().Settings, pipes: map[string]*os.File{}}
	if err := l.prepare(); err != nil {
		step("no logs: %v", err)
	}
	return l
}

func (l *logging) prepare() error {
	if err := os.Chown(logs.Dir, logUser, 0); err != nil {
		return err
	}
	// Readable by root's group, which each file in it inherits: a container's root may not open
	// files of another user.
	if err := os.Chmod(logs.Dir, 0o775|os.ModeSetgid); err != nil {
		return err
	}
	if err := os.MkdirAll(fifoDir, 0o700); err != nil {
		return err
	}
	writers, err := listen(writersPath, unix.SOCK_DGRAM)
	if err != nil {
		return err
	}
	queries, err := listen(queriesPath, unix.SOCK_STREAM)
	if err != nil {
		return err
	}
	started := make(chan struct{}, 1)
	go l.supervise(writers, queries, started)
	select {
	case <-started:
	case <-time.After(5 * time.Second):
	}
	own, err := l.open(ownLog)
	if err == nil {
		err = unix.SetNonblock(int(own.Fd()), true)
		stepLog.Store(own)
	}
	return err
}

// passPipe passes the read end of a pipe to the daemon. Without a write end, the daemon sees the
// end of file.
func (l *logging) passPipe(name string) error {
	fd, err := unix.Open(filepath.Join(fifoDir, name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_ = l.control.SetWriteDeadline(time.Now().Add(time.Second))
	_, _, err = l.control.WriteMsgUnix([]byte("+"+name), unix.UnixRights(fd), nil)
	return err
}

// open returns the write end of a source's pipe. The source exists until close.
func (l *logging) open(name string) (*os.File, error) {
	path := filepath.Join(fifoDir, name)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, found := l.pipes[name]; !found {
		if !logs.IsName(name) {
			return nil, fmt.Errorf("invalid log name %q", name)
		}
		if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		l.pipes[name] = os.NewFile(uintptr(fd), path)
		if l.control != nil {
			_ = l.passPipe(name) // on error, the next daemon gets it
		}
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// close removes a source once its output has been logged.
func (l *logging) close(name string) {
	l.sync(name)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if pipe, found := l.pipes[name]; found {
		delete(l.pipes, name)
		pipe.Close()
		_ = os.Remove(filepath.Join(fifoDir, name))
	}
}

// sync waits until the output of a source has been logged, for at most 3 seconds: a restart of the
// daemon takes one.
func (l *logging) sync(name string) {
	for end := time.Now().Add(3 * time.Second); !l.isRead(name) && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
}

// isRead reports whether the daemon confirms that it has read all output of a source.
func (l *logging) isRead(name string) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.control == nil {
		return false
	}
	_ = l.control.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := l.control.Write([]byte("?" + name)); err != nil {
		return false
	}
	answer := make([]byte, 256)
	for {
		n, err := l.control.Read(answer)
		if err != nil {
			return false
		}
		if string(answer[:n]) == "?"+name {
			return true
		}
	}
}

// showTail writes the last lines of a log to the console, unless the daemon writes them. Without a
// login, they can be seen nowhere else.
func (l *logging) showTail(name string) {
	const limit = 20
	l.sync(name)
	if l.settings.ShowsOutput(name) {
		return
	}
	c, err := logs.OpenCursor(logs.Dir, name, true)
	if err != nil {
		return
	}
	defer c.Close()
	var last []string
	for e, found := c.Next(); found; e, found = c.Next() {
		if last = append(last, e.Text); len(last) > limit {
			last = last[1:]
		}
	}
	for _, text := range last {
		fmt.Fprintf(os.Stderr, "lkt:   %s\n", logs.Printable(text))
	}
}

// stop prevents a restart of the daemon at shutdown.
func (l *logging) stop() {
	l.stopping.Store(true)
	l.sync(ownLog)
}
