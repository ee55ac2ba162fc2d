// Package supervise starts the services of an image in order, says when each is ready, and starts those again that ended.
//
// It knows no containers: those are behind Runtime. PID 1 uses it for an image without containerd, and containerd's
// launcher for one with it, so it imports nothing but the standard library.
package supervise

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Runtime is what starts services.
type Runtime interface {
	// Start starts the service. A service that runs already is left alone, and is not fresh. Its exit status comes on ended.
	Start(ctx context.Context, name string) (ended <-chan int, fresh bool, err error)
	// Exec runs a command in the container of the service. An error says that it did not end with 0.
	Exec(ctx context.Context, name string, args []string) error
	// Stopped says whether somebody asked for the end that the service has come to.
	Stopped(ctx context.Context, name string) bool
	// AwaitStart returns when somebody else has started the service, or ctx has ended.
	AwaitStart(ctx context.Context, name string)
	// LogPath is the file that has what the service writes.
	LogPath(name string) string
}

// Event is something that happened to a service. One that has Failed counts as a failure of the boot.
type Event struct {
	Service string
	Text    string
	Failed  bool
}

const (
	firstPause = time.Second
	// longestPause is how long a service that ends again and again waits for its next start.
	longestPause = 30 * time.Second
	// steady is how long a service has to run for its next pause to be the first one again.
	steady = time.Minute
)

// Supervisor keeps services.
type Supervisor struct {
	runtime  Runtime
	report   func(Event)
	services map[string]*service
	// pause is firstPause, but for tests.
	pause time.Duration
}

// service is one of them. Its channels are closed, each at most once.
type service struct {
	name  string
	rules Rules
	// ready: it has been ready, once at least. settled: it has been ready, or has failed to.
	ready, settled chan struct{}
	// hopeless: it will not be ready, unless somebody starts it.
	hopeless chan struct{}
	// left: it has ended while the machine goes down.
	left   chan struct{}
	failed bool
}

// New makes a supervisor of services. One that starts after a service that is not there does not wait for it.
func New(runtime Runtime, report func(Event), rules map[string]Rules) *Supervisor {
	s := &Supervisor{runtime: runtime, report: report, services: map[string]*service{}, pause: firstPause}
	for name, r := range rules {
		s.services[name] = &service{
			name: name, rules: r,
			ready: make(chan struct{}), settled: make(chan struct{}), hopeless: make(chan struct{}), left: make(chan struct{}),
		}
	}
	return s
}

// Run starts the services and returns how many failed once each is ready or has failed. They are kept until ctx ends.
func (s *Supervisor) Run(ctx context.Context) (failures int) {
	for _, one := range s.services {
		go s.keep(ctx, one)
	}
	for _, one := range s.services {
		select {
		case <-one.settled:
			if one.failed {
				failures++
			}
		case <-ctx.Done():
			return failures
		}
	}
	return failures
}

// Stop calls stop for every service, for each when those that start after it have been stopped, and waits for all.
func (s *Supervisor) Stop(stop func(name string)) {
	var all sync.WaitGroup
	for _, one := range s.services {
		all.Add(1)
		go func() {
			defer all.Done()
			defer close(one.left)
			for _, other := range s.services {
				for _, name := range other.rules.After {
					if name == one.name {
						<-other.left
					}
				}
			}
			stop(one.name)
		}()
	}
	all.Wait()
}

// keep starts a service when those before it are ready, and again as its rules say, until ctx ends.
func (s *Supervisor) keep(ctx context.Context, one *service) {
	if !s.awaitOthers(ctx, one) {
		return
	}
	for pause := s.pause; ctx.Err() == nil; {
		begin := time.Now()
		status := s.runOnce(ctx, one)
		if ctx.Err() != nil {
			return
		}
		if !one.rules.again(status) || s.runtime.Stopped(ctx, one.name) {
			one.giveUp()
			s.runtime.AwaitStart(ctx, one.name)
			continue
		}
		if time.Since(begin) > steady {
			pause = s.pause
		}
		s.step(one, " starts again in %v", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// awaitOthers returns when every service that this one starts after is ready. Where one of them fails, this one fails too,
// and still waits for it.
func (s *Supervisor) awaitOthers(ctx context.Context, one *service) bool {
	for _, name := range one.rules.After {
		other, found := s.services[name]
		if !found {
			continue
		}
		select {
		case <-other.settled:
		case <-ctx.Done():
			return false
		}
		if other.failed {
			s.fail(one, "it starts after %s, which is not ready", name)
		}
		select {
		case <-other.ready:
		case <-other.hopeless:
			one.giveUp()
			select {
			case <-other.ready:
			case <-ctx.Done():
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// runOnce starts a service and returns its exit status when it has ended, -1 when it could not be started.
func (s *Supervisor) runOnce(ctx context.Context, one *service) (status int) {
	from := endOfLog(s.runtime.LogPath(one.name))
	s.step(one, " starts")
	ended, fresh, err := s.runtime.Start(ctx, one.name)
	if ctx.Err() != nil {
		return -1
	}
	if err != nil {
		s.fail(one, "%v", err)
		return -1
	}
	if !fresh {
		from = place{}
	}
	asking, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	isReady, overdue := make(chan struct{}), make(chan struct{}, 1)
	go func() {
		if s.awaitReady(asking, one, from, overdue) {
			close(isReady)
		}
	}()
	for {
		select {
		case <-isReady:
			s.succeed(one)
			isReady = nil
		case <-overdue:
			s.fail(one, "it is not ready after %v", one.rules.Ready.timeout())
		case status := <-ended:
			if ctx.Err() != nil {
				return status
			}
			// One that does its work and ends was ready before, though the news of it may come later.
			if one.rules.Ready == nil {
				s.succeed(one)
			}
			s.step(one, " ended with status %d", status)
			s.fail(one, "it ended with status %d before it was ready", status)
			return status
		case <-ctx.Done():
			return -1
		}
	}
}

// succeed is called from keep alone, as fail and giveUp are.
func (s *Supervisor) succeed(one *service) {
	if isClosed(one.ready) {
		return
	}
	s.step(one, "")
	close(one.ready)
	if !isClosed(one.settled) {
		close(one.settled)
	}
}

// fail settles a service that has not been ready. Later failures of it say nothing new.
func (s *Supervisor) fail(one *service, format string, args ...any) {
	if isClosed(one.settled) {
		return
	}
	s.report(Event{one.name, "service " + one.name + " failed: " + fmt.Sprintf(format, args...), true})
	one.failed = true
	close(one.settled)
}

func (s *Supervisor) step(one *service, format string, args ...any) {
	s.report(Event{one.name, "service " + one.name + fmt.Sprintf(format, args...), false})
}

func (one *service) giveUp() {
	if !isClosed(one.hopeless) {
		close(one.hopeless)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
