package logd

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"lkt/init/logs"
)

const (
	// mostSources have their lines read at a time, and so many names have files. Half are for PID 1 alone.
	mostSources = 512
	// memoryLimit is what the collector of garbage tries to keep to.
	memoryLimit = 24 << 20
	queueSize   = 512 << 10
	statusPause = 2 * time.Second
	// lastSends is how long the last lines may take to the syslog server when the machine stops.
	lastSends = time.Second
)

// Descriptors that PID 1 hands to the daemon.
const (
	ControlFD = 3 + iota // SOCK_SEQPACKET to PID 1
	WritersFD            // memlogd's SOCK_DGRAM for writers
	QueriesFD            // memlogd's listening SOCK_STREAM for readers
)

type daemon struct {
	settings Settings
	store    *store
	out      []*queue
	remote   *syslog

	mutex   sync.Mutex
	sources map[*source]bool
}

// Main runs the daemon until PID 1 closes its end of the control socket, or SIGTERM. Its standard error is the console.
func Main() error {
	debug.SetMemoryLimit(memoryLimit)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	settings, problems := loadSettings(settingsPath, string(cmdline))
	d, err := newDaemon(logs.Dir, settings, os.Stderr)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		d.say(problem.Error())
	}
	control, err := socket(ControlFD)
	if err != nil {
		return err
	}
	writers, err := socket(WritersFD)
	if err != nil {
		return err
	}
	listening := os.NewFile(QueriesFD, "queries")
	queries, err := net.FileListener(listening)
	if err != nil {
		return err
	}
	listening.Close()
	go d.serveWriters(writers)
	go d.store.serveQueries(queries)
	closed := make(chan struct{})
	go func() { d.serveControl(control); close(closed) }()
	d.wait(stop, closed)
	return nil
}

// wait writes the status now and then, and once more at the end.
func (d *daemon) wait(stop <-chan os.Signal, closed <-chan struct{}) {
	ticks := time.NewTicker(statusPause)
	defer ticks.Stop()
	last := ""
	for ended := false; !ended; {
		select {
		case <-ticks.C:
		case <-closed:
			ended = true
		case <-stop:
			d.finish()
			ended = true
		}
		all := d.store.status()
		if now := fmt.Sprint(all); now != last {
			last = now
			_ = logs.WriteStatus(d.store.dir, all)
		}
	}
}

// finish takes what was written so far, and gives the syslog server the time to get it.
func (d *daemon) finish() {
	d.mutex.Lock()
	names := map[string]bool{}
	for s := range d.sources {
		names[s.name] = true
	}
	d.mutex.Unlock()
	for name := range names {
		d.drain(name)
	}
	if d.remote == nil {
		return
	}
	for end := time.Now().Add(lastSends); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if d.remote.lines.isEmpty() && !d.remote.busy.Load() {
			return
		}
	}
}

func newDaemon(dir string, settings Settings, console io.Writer) (*daemon, error) {
	s, err := openStore(dir, settings.Size, settings.Total)
	if err != nil {
		return nil, err
	}
	d := &daemon{settings: settings, store: s, sources: map[*source]bool{}}
	if settings.Console {
		lines := newQueue(queueSize, func(string) {})
		d.out = append(d.out, lines)
		go func() {
			for {
				e := lines.take()
				fmt.Fprintf(console, "%s: %s\n", e.Source, logs.Printable(e.Text))
			}
		}()
	}
	if settings.Network != "" {
		d.remote = &syslog{network: settings.Network, address: settings.Address}
		d.remote.lines = newQueue(queueSize, func(source string) {
			d.remote.unsent.Add(1)
			s.count(source, func(status *logs.Status) { status.Unsent++ })
		})
		d.out = append(d.out, d.remote.lines)
		go d.remote.run(d.say)
	}
	return d, nil
}

func (d *daemon) keep(e logs.Entry) {
	_ = d.store.append(e) // a full file system: the line is lost
	for _, q := range d.out {
		q.put(e)
	}
}

// say keeps a line of the daemon's own.
func (d *daemon) say(text string) {
	d.keep(logs.Entry{Time: time.Now(), Source: "lkt-logs", Text: text})
}

// add reads from a file until its writers have closed it, unless there are most sources already.
func (d *daemon) add(name string, file *os.File, most int) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if len(d.sources) >= most || !logs.IsName(name) || !d.store.hasRoom(name, most) {
		file.Close()
		return
	}
	s := &source{
		name: name, file: file, keep: d.keep, limit: newLimit(d.settings.Rate, d.settings.Size),
		count: func(change func(*logs.Status)) { d.store.count(name, change) },
	}
	d.sources[s] = true
	go func() {
		s.run()
		d.mutex.Lock()
		delete(d.sources, s)
		d.mutex.Unlock()
		if len(d.named(name)) == 0 {
			d.store.release(name)
		}
	}()
}

func (d *daemon) named(name string) (found []*source) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for s := range d.sources {
		if s.name == name {
			found = append(found, s)
		}
	}
	return found
}

func socket(fd uintptr) (*net.UnixConn, error) {
	file := os.NewFile(fd, "socket")
	defer file.Close()
	connection, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	unix, good := connection.(*net.UnixConn)
	if !good {
		return nil, fmt.Errorf("descriptor %d is no Unix socket", fd)
	}
	return unix, nil
}
