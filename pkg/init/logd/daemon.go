package logd

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lkt/init/logs"
)

const (
	// maxSources limits the sources read at a time and the names with files. Half of them are
	// reserved for PID 1.
	maxSources = 512
	// memoryLimit is the soft memory limit of the garbage collector.
	memoryLimit    = 24 << 20
	queueSize      = 512 << 10
	statusInterval = 2 * time.Second
	// flushTimeout limits the time to send the remaining lines to the syslog server at shutdown.
	flushTimeout = time.Second
)

// File descriptors that PID 1 passes to the daemon.
const (
	ControlFD = 3 + iota // SOCK_SEQPACKET to PID 1
	WritersFD            // memlogd's SOCK_DGRAM for writers
	QueriesFD            // memlogd's listening SOCK_STREAM for readers
)

type daemon struct {
	settings Settings
	store    *store
	console  *queue
	// unshown counts the lines that the console has missed since the last report.
	unshown atomic.Int64
	remote  *syslog

	mutex   sync.Mutex
	sources map[*source]bool
}

// Setup is what the daemon needs to know before it is confined.
type Setup struct {
	// Dir is the directory of the logs.
	Dir      string
	Settings Settings
	// Problems are errors in the settings.
	Problems []string
}

// Load reads the settings of the machine. The daemon trusts nothing else.
func Load() Setup {
	// Without a command line there are only the settings of the file.
	cmdline, _ := os.ReadFile("/proc/cmdline")
	settings, problems := loadSettings(settingsPath, string(cmdline))
	s := Setup{Settings: settings}
	for _, problem := range problems {
		s.Problems = append(s.Problems, problem.Error())
	}
	return s
}

// Main runs the daemon until PID 1 closes its end of the control socket, or until SIGTERM. It calls
// confine before it reads anything. Its standard error is the console.
func Main(s Setup, confine func() error) error {
	debug.SetMemoryLimit(memoryLimit)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if err := confine(); err != nil {
		return err
	}
	d, err := newDaemon(s.Dir, s.Settings, os.Stderr)
	if err != nil {
		return err
	}
	for _, problem := range s.Problems {
		d.report(problem)
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

// wait writes the status file regularly, and once more at the end.
func (d *daemon) wait(stop <-chan os.Signal, closed <-chan struct{}) {
	ticks := time.NewTicker(statusInterval)
	defer ticks.Stop()
	last := ""
	for ended := false; !ended; {
		select {
		case <-ticks.C:
		case <-closed:
			ended = true
		case <-stop:
			d.flush()
			ended = true
		}
		all := d.store.status()
		if now := fmt.Sprint(all); now != last {
			last = now
			_ = logs.WriteStatus(d.store.dir, all)
		}
	}
}

// flush reads all remaining output, and waits until the syslog server has it or the timeout ends.
func (d *daemon) flush() {
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
	for end := time.Now().Add(flushTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if d.remote.lines.isEmpty() {
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
	d.console = newQueue(queueSize, func(string) { d.unshown.Add(1) })
	go d.show(console)
	if settings.Network != "" {
		d.remote = &syslog{network: settings.Network, address: settings.Address}
		d.remote.lines = newQueue(queueSize, func(source string) {
			d.remote.unsent.Add(1)
			s.count(source, func(status *logs.Status) { status.Unsent++ })
		})
		go d.remote.run(d.report)
	}
	return d, nil
}

// show writes lines to the console forever. Once the console has all that waited, it says how many
// more there were.
func (d *daemon) show(console io.Writer) {
	for {
		e := d.console.take()
		fmt.Fprintf(console, "%s: %s\n", e.Source, logs.Printable(e.Text))
		if !d.console.isLast() {
			continue
		}
		if unshown := d.unshown.Swap(0); unshown > 0 {
			fmt.Fprintf(console, "lkt-logs: %d lines are only in the logs: the console is too slow\n", unshown)
		}
	}
}

func (d *daemon) record(e logs.Entry) {
	_ = d.store.append(e) // if the file system is full, the line is lost
	if d.settings.ShowsOutput(e.Source) {
		d.console.put(e)
	}
	if d.remote != nil {
		d.remote.lines.put(e)
	}
}

// report logs a line of the daemon itself.
func (d *daemon) report(text string) {
	d.record(logs.Entry{Time: time.Now(), Source: "lkt-logs", Text: text})
}

// add reads lines from file until its writers close it. It closes file at once if there are max
// sources already.
func (d *daemon) add(name string, file *os.File, max int) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if len(d.sources) >= max || !logs.IsName(name) || !d.store.hasRoom(name, max) {
		file.Close()
		return
	}
	s := &source{
		name: name, file: file, record: d.record, limit: newRateLimit(d.settings.Rate, d.settings.Size),
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
		return nil, fmt.Errorf("descriptor %d is not a Unix socket", fd)
	}
	return unix, nil
}
