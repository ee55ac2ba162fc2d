package main

import (
	"bufio"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/logs"
)

// managedLog has what containerd itself writes.
const managedLog = "containerd"

// managed services belong to /usr/bin/service, which is containerd with a launcher. It writes "step TEXT" and
// "ready FAILURES" lines to its descriptor 3, stops its services on SIGTERM, and writes "stopped NAME" for each. When it dies
// it is started again and finds its services running.
type managed struct {
	children *reaper
	log      *logging
	started  chan int
	stopping chan struct{}
	stopped  chan struct{}
	// progress is that of stopping: one of the services has ended.
	progress chan struct{}
	// patience is how long one may take, by whoever stops it.
	patience time.Duration
	mutex    sync.Mutex
	pid      int
}

func (m *managed) ready() <-chan int { return m.started }

func (m *managed) supervise(failed int) {
	defer close(m.stopped)
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		begin := uptime()
		err := m.runOnce(failed)
		select {
		case <-m.stopping:
			return
		default:
		}
		step("containerd ended (%v), again in %v", err, pause)
		m.log.showTail(managedLog)
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

func (m *managed) runOnce(failed int) error {
	out, err := m.log.open(managedLog)
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

func (m *managed) report(pipe *os.File, failed int) {
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		kind, text, _ := strings.Cut(lines.Text(), " ")
		switch kind {
		case "step":
			step("%s", logs.Printable(text))
		case "failed":
			step("%s", logs.Printable(text))
			failed++
		case "stopped":
			select {
			case m.progress <- struct{}{}:
			default: // of an earlier one nobody has heard yet
			}
		case "ready":
			select {
			case m.started <- failed:
			default: // containerd was started again
			}
		}
	}
}

func (m *managed) setPid(pid int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.pid = pid
}

func (m *managed) signal(s unix.Signal) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.pid > 0 {
		_ = unix.Kill(m.pid, s)
	}
}

// stop waits for one service after the other: one that starts after another is stopped before it, and each has its time.
func (m *managed) stop() {
	close(m.stopping)
	m.signal(unix.SIGTERM)
	for {
		select {
		case <-m.stopped:
			return
		case <-m.progress:
		case <-time.After(m.patience):
			step("containerd does not end, killed")
			m.signal(unix.SIGKILL)
			return
		}
	}
}
