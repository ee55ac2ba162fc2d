package supervise

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// machine is a Runtime whose services are functions.
type machine struct {
	dir      string
	programs map[string]func(ctx context.Context, run int) int
	exec     func(name string, args []string) error
	// starting may fail. Then there is no container, as if the service had been stopped.
	starting func(run int) error

	mutex   sync.Mutex
	runs    map[string]int
	stopped map[string]bool
	starts  []string
	lines   []string
}

func (m *machine) Start(ctx context.Context, name string) (<-chan int, bool, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	program := m.programs[name]
	if program == nil {
		return nil, false, errors.New("no program")
	}
	m.runs[name]++
	if m.starting != nil {
		err := m.starting(m.runs[name])
		if m.stopped[name] = err != nil; err != nil {
			return nil, false, err
		}
	}
	m.starts = append(m.starts, name)
	run, ended := m.runs[name], make(chan int, 1)
	go func() { ended <- program(ctx, run) }()
	return ended, true, nil
}

func (m *machine) Exec(_ context.Context, name string, args []string) error {
	return m.exec(name, args)
}

func (m *machine) Stopped(_ context.Context, name string) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.stopped[name]
}

func (m *machine) AwaitStart(ctx context.Context, _ string) { <-ctx.Done() }

func (m *machine) LogPath(name string) string { return filepath.Join(m.dir, name+".log") }

func (m *machine) report(e Event) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	kind := "step "
	switch {
	case e.Failed:
		kind = "failed "
	case e.Written:
		kind = "line "
	}
	m.lines = append(m.lines, kind+e.Text)
}

func (m *machine) said() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.lines)
}

func (m *machine) started() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.starts)
}

func (m *machine) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not seen: %s\n%s", what, strings.Join(m.said(), "\n"))
		}
	}
}

func start(t *testing.T, m *machine, rules map[string]Rules) (*Supervisor, context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	m.dir, m.runs = t.TempDir(), map[string]int{}
	if m.stopped == nil {
		m.stopped = map[string]bool{}
	}
	s := New(m, m.report, rules)
	s.restartDelay = time.Millisecond
	return s, ctx
}

func runForever(ctx context.Context, _ int) int { <-ctx.Done(); return 0 }

func exitsWith(status int) func(context.Context, int) int {
	return func(context.Context, int) int { return status }
}

func TestStartsAfterDependenciesAreReady(t *testing.T) {
	m := &machine{programs: map[string]func(context.Context, int) int{"a": runForever, "b": runForever, "c": runForever}}
	asked := make(chan string, 100)
	ready := make(chan struct{})
	m.exec = func(name string, _ []string) error {
		asked <- name
		select {
		case <-ready:
			return nil
		default:
			return errors.New("not yet")
		}
	}
	s, ctx := start(t, m, map[string]Rules{
		"c": {After: []string{"b"}}, "b": {After: []string{"a"}}, "a": {Ready: &Ready{Exec: []string{"true"}}},
	})
	done := make(chan int)
	go func() { done <- s.Run(ctx) }()
	<-asked
	<-asked
	if got := m.started(); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("started before a was ready: %v", got)
	}
	close(ready)
	if failures := <-done; failures != 0 {
		t.Fatalf("%d failures", failures)
	}
	if got := m.started(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Fatalf("order: %v", got)
	}
	want := []string{
		"step service a starts", "step service a", "step service b starts", "step service b", "step service c starts", "step service c",
	}
	if got := m.said(); !slices.Equal(got, want) {
		t.Fatalf("said: %v", got)
	}
}

func TestReportsTheLineThatTellsReadiness(t *testing.T) {
	m := &machine{}
	m.programs = map[string]func(context.Context, int) int{"a": func(ctx context.Context, _ int) int {
		line := "2026-11-29T16:00:00.000000Z key SHA256:abc is up\n"
		if err := os.WriteFile(m.LogPath("a"), []byte(line), 0o600); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		return 0
	}}
	s, ctx := start(t, m, map[string]Rules{"a": {Ready: &Ready{Log: "key "}}})
	if failures := s.Run(ctx); failures != 0 {
		t.Fatalf("%d failures", failures)
	}
	want := []string{"step service a starts", "step service a", "line a: key SHA256:abc is up"}
	m.await(t, "the line", func() bool { return slices.Equal(m.said(), want) })
}

func TestRestartPolicies(t *testing.T) {
	m := &machine{programs: map[string]func(context.Context, int) int{
		"never": exitsWith(1), "on-failure-0": exitsWith(0),
		"on-failure-1": func(ctx context.Context, run int) int {
			if run < 4 {
				return 1
			}
			return runForever(ctx, run)
		},
		"always": func(ctx context.Context, run int) int {
			if run < 3 {
				return 0
			}
			return runForever(ctx, run)
		},
	}}
	s, ctx := start(t, m, map[string]Rules{
		"never": {}, "on-failure-0": {Restart: OnFailure}, "on-failure-1": {Restart: OnFailure}, "always": {Restart: Always},
	})
	if failures := s.Run(ctx); failures != 0 {
		t.Fatalf("%d failures: %v", failures, m.said())
	}
	count := func(name string) (n int) {
		for _, one := range m.started() {
			if one == name {
				n++
			}
		}
		return n
	}
	m.await(t, "four runs, and three", func() bool { return count("on-failure-1") == 4 && count("always") == 3 })
	if count("never") != 1 || count("on-failure-0") != 1 {
		t.Fatalf("started: %v", m.started())
	}
}

func TestRestartsAServiceThatCouldNotBeStarted(t *testing.T) {
	m := &machine{
		programs: map[string]func(context.Context, int) int{"a": exitsWith(1)},
		starting: func(run int) error {
			if run == 2 || run == 3 {
				return errors.New("no memory")
			}
			return nil
		},
	}
	s, ctx := start(t, m, map[string]Rules{"a": {Restart: "on-failure"}})
	go s.Run(ctx)
	m.await(t, "the second start", func() bool { return len(m.started()) >= 2 })
	if said := m.said(); !slices.Contains(said, "step service a could not be started: no memory") {
		t.Errorf("%q", said)
	}
}

func TestDoesNotRestartStoppedService(t *testing.T) {
	end := make(chan int)
	m := &machine{
		stopped:  map[string]bool{"a": true},
		programs: map[string]func(context.Context, int) int{"a": func(context.Context, int) int { return <-end }},
	}
	s, ctx := start(t, m, map[string]Rules{"a": {Restart: Always}})
	s.Run(ctx)
	end <- 137
	m.await(t, "the end", func() bool { return slices.Contains(m.said(), "step service a exited with status 137") })
	time.Sleep(20 * time.Millisecond)
	if got := m.started(); len(got) != 1 {
		t.Fatalf("started %d times", len(got))
	}
}

func TestFailsIfDependencyFails(t *testing.T) {
	m := &machine{programs: map[string]func(context.Context, int) int{"a": exitsWith(3), "b": runForever}}
	m.exec = func(string, []string) error { return errors.New("no") }
	s, ctx := start(t, m, map[string]Rules{"a": {Ready: &Ready{Exec: []string{"x"}}}, "b": {After: []string{"a"}}})
	if failures := s.Run(ctx); failures != 2 {
		t.Fatalf("%d failures", failures)
	}
	for _, line := range []string{
		"failed service a failed: exited with status 3 before it was ready",
		"failed service b failed: dependency a is not ready",
	} {
		if !slices.Contains(m.said(), line) {
			t.Errorf("not said: %s\n%v", line, m.said())
		}
	}
	if got := m.started(); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("started: %v", got)
	}
}

func TestRefusesServicesInACycle(t *testing.T) {
	m := &machine{programs: map[string]func(context.Context, int) int{
		"a": runForever, "b": runForever, "c": runForever, "self": runForever, "waits": runForever, "free": runForever,
	}}
	s, ctx := start(t, m, map[string]Rules{
		"a": {After: []string{"free", "b"}}, "b": {After: []string{"c"}}, "c": {After: []string{"a", "unknown"}},
		"self": {After: []string{"self"}}, "waits": {After: []string{"b"}}, "free": {},
	})
	done := make(chan int, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case failures := <-done:
		if failures != 5 {
			t.Errorf("%d failures", failures)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("hangs at boot")
	}
	for _, line := range []string{
		"failed service a failed: dependencies form a cycle: a after b after c after a",
		"failed service b failed: dependencies form a cycle: b after c after a after b",
		"failed service self failed: dependencies form a cycle: self after self",
		"failed service waits failed: dependency b is not ready",
	} {
		if !slices.Contains(m.said(), line) {
			t.Errorf("not said: %s\n%v", line, m.said())
		}
	}
	if got := m.started(); !slices.Equal(got, []string{"free"}) {
		t.Errorf("started: %v", got)
	}
	stopped := make(chan struct{})
	go func() { s.Stop(func(string) {}); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Fatal("hangs at shutdown")
	}
}

func TestWaitsForLateDependency(t *testing.T) {
	m := &machine{programs: map[string]func(context.Context, int) int{"a": runForever, "b": runForever}}
	ready := make(chan struct{})
	m.exec = func(string, []string) error {
		select {
		case <-ready:
			return nil
		default:
			return errors.New("no")
		}
	}
	s, ctx := start(t, m, map[string]Rules{
		"a": {Ready: &Ready{Exec: []string{"x"}, Timeout: 0.05}}, "b": {After: []string{"a"}},
	})
	if failures := s.Run(ctx); failures != 2 {
		t.Fatalf("%d failures", failures)
	}
	if !slices.Contains(m.said(), "failed service a failed: not ready after 50ms") {
		t.Fatal(m.said())
	}
	close(ready)
	m.await(t, "b after all", func() bool { return slices.Contains(m.said(), "step service b") })
}

func TestAcceptsConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	if acceptsConnections(context.Background(), path) {
		t.Fatal("accepted a missing socket")
	}
	for _, kind := range []string{"unix", "unixpacket"} {
		listener, err := net.Listen(kind, path)
		if err != nil {
			t.Fatal(err)
		}
		if !acceptsConnections(context.Background(), path) {
			t.Errorf("%s: rejected", kind)
		}
		listener.Close()
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if acceptsConnections(context.Background(), path) {
		t.Error("accepted a regular file")
	}
}

func TestLogSearchStartsAtPosition(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(text string) {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write("it is ready\n")
	search := &logSearch{path: path, from: endOfLog(path), text: []byte("is ready")}
	if search.found() {
		t.Fatal("found the text of an earlier run")
	}
	write(strings.Repeat("x", 3*readSize) + "is re")
	if search.found() {
		t.Fatal("found half of the text")
	}
	write("ady")
	if !search.found() {
		t.Fatal("did not find a text written in two parts")
	}
	if search.line != strings.Repeat("x", maxShown) {
		t.Errorf("line is %q", search.line)
	}
	search = &logSearch{path: path, from: endOfLog(path), text: []byte("is ready")}
	write("\n2026-11-29T16:00:00.000000Z eth0 is ready for use\nmore")
	if !search.found() || search.line != "eth0 is ready for use" {
		t.Errorf("line is %q", search.line)
	}
	if err := os.WriteFile(path, []byte("is ready"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !search.found() {
		t.Fatal("did not find the text in a truncated log")
	}
}

func TestLogSearchFollowsRotation(t *testing.T) {
	for _, where := range []string{"old", "new"} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte("it is ready\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		search := &logSearch{path: path, from: endOfLog(path), text: []byte("is ready")}
		texts := map[string]string{"old": "it is ready\nnothing\n", "new": "it is ready\nnothing\n"}
		texts[where] += "it is ready now\n"
		if err := os.WriteFile(path, []byte(texts["old"]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		if found := search.found(); found != (where == "old") {
			t.Fatalf("before there is a new file: %v", found)
		}
		if err := os.WriteFile(path, []byte(strings.TrimPrefix(texts["new"], "it is ready\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		if !search.found() {
			t.Errorf("did not find the text in the %s file", where)
		}
	}
}

func TestStopsDependentsFirst(t *testing.T) {
	m := &machine{programs: map[string]func(context.Context, int) int{"a": runForever, "b": runForever, "c": runForever}}
	s, _ := start(t, m, map[string]Rules{"a": {}, "b": {After: []string{"a"}}, "c": {After: []string{"a", "b"}}})
	var mutex sync.Mutex
	var order []string
	s.Stop(func(name string) {
		mutex.Lock()
		defer mutex.Unlock()
		order = append(order, name)
	})
	if !slices.Equal(order, []string{"c", "b", "a"}) {
		t.Fatalf("order: %v", order)
	}
}

func TestLoadRules(t *testing.T) {
	dir := t.TempDir()
	if rules, err := LoadRules(dir); err != nil || rules.Restart != "" {
		t.Fatalf("%v %v", rules, err)
	}
	text := `{"mkdir":["x"],"restart":"always","after":["a"],"ready":{"socket":"/run/s","timeout":30}}`
	if err := os.WriteFile(filepath.Join(dir, "runtime.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := LoadRules(dir)
	if err != nil || rules.Restart != Always || !slices.Equal(rules.After, []string{"a"}) || rules.Ready.Socket != "/run/s" ||
		rules.Ready.timeout() != 30*time.Second {
		t.Fatalf("%+v %v", rules, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "runtime.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadRules(dir); err == nil {
		t.Fatal("accepted invalid JSON")
	}
}
