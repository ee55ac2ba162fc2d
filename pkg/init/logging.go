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

	"lkt/init/logs"
)

const (
	// ownLog has the steps of PID 1.
	ownLog = "init"
	// logUser is nobody else's.
	logUser = 514
	// fifoDir has a named pipe for each source, so that containerd's shims can write to it as well.
	fifoDir = "/run/lkt/logs"
	// writersPath and queriesPath are where clients of LinuxKit's memlogd look, by /var/run.
	writersPath = "/run/linuxkit-external-logging.sock"
	queriesPath = "/run/memlogdq.sock"
)

// logging hands what containers write to the log daemon, a process without privileges. It ends never; should it, it is
// started again, and finds in the pipes what was written meanwhile, for PID 1 holds them open.
type logging struct {
	children *reaper
	stopping atomic.Bool

	mutex sync.Mutex
	// pipes are open for reading and writing, so that they have no end.
	pipes   map[string]*os.File
	control *net.UnixConn
}

// startLogging makes what the daemon needs, and starts it: when it returns, whatever is opened is read. When something of that
// cannot be had, there are no logs.
func startLogging(children *reaper) *logging {
	l := &logging{children: children, pipes: map[string]*os.File{}}
	if err := l.prepare(); err != nil {
		step("no logs: %v", err)
	}
	return l
}

func (l *logging) prepare() error {
	if err := os.Chown(logs.Dir, logUser, 0); err != nil {
		return err
	}
	// Root's group, that of each file in it, may read: a container's root has no right to open what is another user's.
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
	go l.keep(writers, queries, started)
	select {
	case <-started:
	case <-time.After(5 * time.Second):
	}
	own, err := l.open(ownLog)
	if err == nil {
		err = unix.SetNonblock(int(own.Fd()), true)
		logOfSteps.Store(own)
	}
	return err
}

// hand gives the daemon a pipe to read. It cannot write to it, or the pipe would have no end.
func (l *logging) hand(name string) error {
	fd, err := unix.Open(filepath.Join(fifoDir, name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_ = l.control.SetWriteDeadline(time.Now().Add(time.Second))
	_, _, err = l.control.WriteMsgUnix([]byte("+"+name), unix.UnixRights(fd), nil)
	return err
}

// open gives an end of a source's pipe to write to. The source is there until it is closed.
func (l *logging) open(name string) (*os.File, error) {
	path := filepath.Join(fifoDir, name)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, found := l.pipes[name]; !found {
		if !logs.IsName(name) {
			return nil, fmt.Errorf("%q is no name of a log", name)
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
			_ = l.hand(name) // the next daemon gets it
		}
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// close ends a source for good, once what was written to it is in its log.
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

// sync returns when what was written to a source is in its log, or after a while: a daemon that ended takes a second to come back.
func (l *logging) sync(name string) {
	for end := time.Now().Add(3 * time.Second); !l.ask(name) && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
}

// ask says whether the daemon says that a source has been read.
func (l *logging) ask(name string) bool {
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

// showTail puts the end of a log on the console: without a login it is the only place to see it.
func (l *logging) showTail(name string) {
	const most = 20
	l.sync(name)
	c, err := logs.OpenCursor(logs.Dir, name, true)
	if err != nil {
		return
	}
	defer c.Close()
	var last []string
	for e, found := c.Next(); found; e, found = c.Next() {
		if last = append(last, e.Text); len(last) > most {
			last = last[1:]
		}
	}
	for _, text := range last {
		fmt.Fprintf(os.Stderr, "lkt:   %s\n", logs.Printable(text))
	}
}

// stop keeps the daemon from being started again when it ends with everything else.
func (l *logging) stop() {
	l.stopping.Store(true)
	l.sync(ownLog)
}
