package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
)

const (
	servicePath = "/usr/bin/service"
	servicesDir = containersDir + "/services"
	// stopTime is how long services get to end before they are killed.
	stopTime = 15 * time.Second
)

// services are the containers that run until the machine stops.
type services interface {
	// ready gives the number of services that failed once each has started or failed.
	ready() <-chan int
	stop()
}

// startServices hands the services to containerd where the image has it, and runs them by the runtime itself where not.
func startServices(children *reaper) services {
	var names []string
	failed := 0
	for _, name := range directories(servicesDir) {
		runtime, err := bundle.Load(filepath.Join(servicesDir, name))
		if err == nil {
			_, err = runtime.Prepare(filepath.Join(servicesDir, name))
		}
		if err != nil {
			step("service %s failed: %v", name, err)
			failed++
			continue
		}
		names = append(names, name)
	}
	if _, err := os.Stat(servicePath); err == nil {
		m := &managed{children: children, started: make(chan int, 1), stopping: make(chan struct{}), stopped: make(chan struct{})}
		go m.supervise(failed)
		return m
	}
	d := &direct{children: children, started: make(chan int, 1)}
	go d.start(names, failed)
	return d
}

// managed services belong to /usr/bin/service, which is containerd with a launcher. It writes "step TEXT" and
// "ready FAILURES" lines to its descriptor 3 and stops its services on SIGTERM. When it dies it is started
// again and finds its services running.
type managed struct {
	children *reaper
	started  chan int
	stopping chan struct{}
	stopped  chan struct{}
	mutex    sync.Mutex
	pid      int
}

func (m *managed) ready() <-chan int { return m.started }

func (m *managed) supervise(failed int) {
	defer close(m.stopped)
	logPath := filepath.Join(logDir, "containerd.log")
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		begin := uptime()
		err := m.runOnce(logPath, failed)
		select {
		case <-m.stopping:
			return
		default:
		}
		step("containerd ended (%v), again in %v", err, pause)
		showTail(logPath)
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

func (m *managed) runOnce(logPath string, failed int) error {
	log, err := openLog(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	pid, done, err := m.children.start([]string{servicePath, "system-init"}, log, write)
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
			step("%s", strings.Map(printable, text))
		case "failed":
			step("%s", strings.Map(printable, text))
			failed++
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

func (m *managed) stop() {
	close(m.stopping)
	m.signal(unix.SIGTERM)
	select {
	case <-m.stopped:
	case <-time.After(stopTime + 5*time.Second):
		step("containerd does not end, killed")
		m.signal(unix.SIGKILL)
	}
}

// direct services are children of PID 1, started by the runtime. What ends stays ended.
type direct struct {
	children *reaper
	started  chan int
}

func (d *direct) ready() <-chan int { return d.started }

func (d *direct) start(names []string, failed int) {
	var all sync.WaitGroup
	var mutex sync.Mutex
	for _, name := range names {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := d.startOne(name); err != nil {
				step("service %s failed: %v", name, err)
				showTail(filepath.Join(logDir, name+".log"))
				mutex.Lock()
				failed++
				mutex.Unlock()
				return
			}
			step("service %s", name)
		}()
	}
	all.Wait()
	d.started <- failed
}

func (d *direct) startOne(name string) error {
	dir := filepath.Join(servicesDir, name)
	runtime, err := bundle.Load(dir)
	if err != nil {
		return err
	}
	log, err := openLog(filepath.Join(logDir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	pid, err := create(d.children, log, dir, name)
	if err != nil {
		return err
	}
	done := d.children.adopt(pid)
	if err := runtime.AttachProcess(pid); err != nil {
		return err
	}
	if err := run(d.children, log, runtimePath, "start", name); err != nil {
		return err
	}
	go func() {
		status := <-done
		step("service %s ended: status %d", name, status.ExitStatus())
	}()
	return nil
}

// stopEverything ends them with every other process.
func (d *direct) stop() {}
