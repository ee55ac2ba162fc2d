package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/logs"
)

// containerdLog is the log of containerd itself.
const containerdLog = "containerd"

// aliveTime is how long containerd may be without an answer, also while it starts again.
const aliveTime = 2 * time.Minute

// containerdServices are run by /usr/bin/service, which is containerd with a launcher. The launcher
// writes lines "step TEXT", "failed TEXT", "line TEXT" and "ready FAILURES" to its descriptor 3,
// and "alive" whenever containerd has answered it. On SIGTERM it stops the services and writes
// "stopped NAME" for each. If it dies, it is restarted and finds its services running.
type containerdServices struct {
	children *reaper
	log      *logging
	started  chan int
	stopping chan struct{}
	stopped  chan struct{}
	// progress receives a value when a service has stopped.
	progress chan struct{}
	// stopTimeout begins the time for one service to stop, and returns what reports its end.
	stopTimeout func() <-chan time.Time
	// alive is the uptime at which containerd last answered, or 0.
	alive atomic.Int64
	mutex sync.Mutex
	pid   int
}

func (m *containerdServices) ready() <-chan int { return m.started }

// health returns an error if containerd has answered before, and does not any more.
func (m *containerdServices) health() error {
	last := time.Duration(m.alive.Load())
	if silent := uptime() - last; last != 0 && silent > aliveTime {
		return fmt.Errorf("containerd has not answered for %v", silent.Round(time.Second))
	}
	return nil
}

func (m *containerdServices) supervise(failed int) {
	defer close(m.stopped)
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		begin := uptime()
		err := m.runOnce(failed)
		select {
		case <-m.stopping:
			return
		default:
		}
		step("containerd exited (%v), restarts in %v", err, pause)
		m.log.showTail(containerdLog)
		if uptime()-begin > time.Minute {
			pause = time.Second
		}
		select {
		case <-m.stopping:
			return
		case <-time.After(pause):
		}
	}
}

func (m *containerdServices) runOnce(failed int) error {
	out, err := m.log.open(containerdLog)
	if err != nil {
		return err
	}
	defer out.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	pid, done, err := m.children.start([]string{servicePath, "system-init"}, out, write)
	write.Close()
	if err != nil {
		return err
	}
	m.setPid(pid)
	go m.report(read, failed)
	status := <-done
	m.setPid(0)
	if err := statusError(status); err != nil {
		return err
	}
	return os.ErrProcessDone
}

func (m *containerdServices) report(pipe *os.File, failed int) {
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		kind, text, _ := strings.Cut(lines.Text(), " ")
		switch kind {
		case "step":
			step("%s", logs.Printable(text))
		case "failed":
			step("%s", logs.Printable(text))
			failed++
		case "line":
			showLine(text)
		case "alive":
			m.alive.Store(int64(uptime()))
		case "stopped":
			select {
			case m.progress <- struct{}{}:
			default: // an earlier stop has not been received yet
			}
		case "ready":
			select {
			case m.started <- failed:
			default: // containerd was restarted
			}
		}
	}
}

func (m *containerdServices) setPid(pid int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.pid = pid
}

func (m *containerdServices) signal(s unix.Signal) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.pid > 0 {
		_ = unix.Kill(m.pid, s)
	}
}

// stop stops the services one after the other, dependents first. Each service has its own timeout.
func (m *containerdServices) stop(forced context.Context) {
	close(m.stopping)
	m.signal(unix.SIGTERM)
	for {
		select {
		case <-m.stopped:
			return
		case <-m.progress:
		case <-forced.Done():
			m.signal(unix.SIGKILL)
			return
		case <-m.stopTimeout():
			step("containerd does not stop, killed")
			m.signal(unix.SIGKILL)
			return
		}
	}
}
