package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lkt/ntp/agree"
	"lkt/ntp/message"
	"lkt/ntp/packet"
)

// serve runs a server whose clock has the given offset. spoil may modify an answer before it is
// sent, and send more.
func serve(t *testing.T, off time.Duration, spoil func(answer []byte, send func([]byte))) server {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		b := make([]byte, 1024)
		for {
			n, from, err := socket.ReadFrom(b)
			if err != nil {
				return
			}
			received := time.Now().Add(off)
			answer := make([]byte, packet.Size)
			answer[0], answer[1], answer[3] = 4<<3|4, 1, 0xec
			copy(answer[24:32], b[40:n])
			binary.BigEndian.PutUint64(answer[16:], uint64(packet.StampOf(received.Add(-time.Second))))
			binary.BigEndian.PutUint64(answer[32:], uint64(packet.StampOf(received)))
			binary.BigEndian.PutUint64(answer[40:], uint64(packet.StampOf(time.Now().Add(off))))
			send := func(b []byte) { _, _ = socket.WriteTo(b, from) }
			if spoil != nil {
				spoil(answer, send)
			}
			send(answer)
		}
	}()
	return server{Name: socket.LocalAddr().String()}
}

// fakeClock returns a client that records clock adjustments instead of making them, steps in
// minutes: a busy machine answers late.
func fakeClock(servers ...server) (c *client, s *setter, did *[]string) {
	did = &[]string{}
	s = newSetter(setup{Floor: packet.Earliest, MaxStep: defaultMaxStep})
	s.step = func(o time.Duration) error { *did = append(*did, "step "+o.Round(time.Minute).String()); return nil }
	s.slew = func(o, until time.Duration) error {
		*did = append(*did, "slew "+o.Round(time.Second).String()+" in "+until.String())
		return nil
	}
	return newClient(servers, s.settle), s, did
}

func TestStepsOnce(t *testing.T) {
	c, _, did := fakeClock(serve(t, time.Hour, nil), serve(t, time.Hour, nil), serve(t, -time.Hour, nil))
	for range 2 {
		if _, err := c.once(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	// The test's clock is never set, so the second round finds it off by an hour again: it must
	// neither slew nor step.
	if got := strings.Join(*did, ", "); got != "step 1h0m0s, slew 0s in 1m4s" {
		t.Error(got)
	}
	var tooFar *driftError
	_, first := c.once(t.Context(), 1)
	_, second := c.once(t.Context(), 1)
	if err := errors.Join(first, second); !errors.As(err, &tooFar) {
		t.Errorf("no error: %v", err)
	}
}

func TestSlewsSmallOffset(t *testing.T) {
	_, clock, did := fakeClock()
	for _, o := range []time.Duration{50 * time.Millisecond, time.Millisecond, time.Millisecond, time.Second} {
		if _, err := clock.settle(message.Round{Clocks: []agree.Clock{{Offset: o, Distance: time.Millisecond}}, Servers: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(*did, ", "); got != "slew 0s in 1m4s, slew 0s in 2m8s, slew 0s in 4m16s, slew 1s in 1m4s" {
		t.Error(got)
	}
}

func TestIgnoresForgedAnswers(t *testing.T) {
	c, _, did := fakeClock(serve(t, time.Hour, func(answer []byte, send func([]byte)) {
		forged := append([]byte(nil), answer...)
		forged[31] ^= 1
		binary.BigEndian.PutUint64(forged[40:], uint64(packet.StampOf(time.Now().Add(-time.Hour))))
		send(forged)
		send(make([]byte, 900))
	}))
	if _, err := c.once(t.Context(), 1); err != nil || strings.Join(*did, ", ") != "step 1h0m0s, slew 0s in 1m4s" {
		t.Errorf("%q, %v", *did, err)
	}
}

func TestRequiresMajority(t *testing.T) {
	silent := server{Name: "127.0.0.1:9"}
	var requests atomic.Int32
	refuses := serve(t, 0, func(answer []byte, _ func([]byte)) {
		requests.Add(1)
		answer[1] = 0
		copy(answer[12:], "DENY")
	})
	c, clock, did := fakeClock(silent, refuses, serve(t, time.Hour, nil))
	var said []string
	clock.log.print = func(text string) { said = append(said, text) }
	for range 2 {
		if answer, err := c.once(t.Context(), 1); err != nil || answer.Agreed {
			t.Error(answer, err)
		}
	}
	if got := strings.Join(said, ", "); got != "1 of 3 servers answer, 1 agree" {
		t.Error(got)
	}
	if len(*did) != 0 || requests.Load() != 1 {
		t.Errorf("%q, the refusing server was queried %d times", *did, requests.Load())
	}
}

// 33 doublings of two seconds overflow, after which a client asked without pause.
func TestPausesLongerAfterEachFailure(t *testing.T) {
	c, _, _ := fakeClock()
	before := time.Duration(0)
	for failures := 1; failures < 100; failures++ {
		pause := c.pause(message.Answer{Interval: maxInterval}, failures, false)
		if pause < max(before, retryDelay) || pause > maxInterval {
			t.Fatalf("%v after %d failures, %v before", pause, failures, before)
		}
		before = pause
	}
	for _, interval := range []time.Duration{-1, 0, 1 << 62} {
		if pause := c.pause(message.Answer{Agreed: true, Interval: interval}, 0, false); pause < minInterval || pause > maxInterval {
			t.Errorf("%v after a success", pause)
		}
	}
}

// A refusal is not authenticated: it must not exclude the only server forever.
func TestAsksARefusingServerAgain(t *testing.T) {
	var requests atomic.Int32
	c, _, _ := fakeClock(serve(t, 0, func(answer []byte, _ func([]byte)) {
		if requests.Add(1) == 1 {
			answer[1] = 0
			copy(answer[12:], "DENY")
		}
	}))
	if answer, err := c.once(t.Context(), 1); err != nil || answer.Agreed {
		t.Error(answer, err)
	}
	for address := range c.refused {
		c.refused[address] = time.Now().Add(-time.Second)
	}
	if answer, err := c.once(t.Context(), 1); err != nil || !answer.Agreed {
		t.Error(answer, err)
	}
}

// Neither is the wish for fewer requests.
func TestAsksOftenAgainAfterAnHour(t *testing.T) {
	c, _, _ := fakeClock(serve(t, 0, func(answer []byte, _ func([]byte)) {
		answer[1] = 0
		copy(answer[12:], "RATE")
	}))
	if answer, err := c.once(t.Context(), 1); err != nil || answer.Agreed {
		t.Error(answer, err)
	}
	agreed := message.Answer{Agreed: true, Interval: minInterval}
	if pause := c.pause(agreed, 0, false); pause != maxInterval {
		t.Errorf("%v after the wish", pause)
	}
	if left := time.Until(c.slow); left > refusal {
		t.Errorf("%v left", left)
	}
	c.slow = time.Now().Add(-time.Second)
	if pause := c.pause(agreed, 0, false); pause != minInterval {
		t.Errorf("%v an hour later", pause)
	}
}

func TestRejectsImpossibleTimes(t *testing.T) {
	for _, years := range []int{-30, 25, 100} {
		_, clock, did := fakeClock()
		offset := time.Until(packet.Earliest.AddDate(years, 0, 0))
		answer, err := clock.settle(message.Round{Clocks: []agree.Clock{{Offset: offset, Distance: 1}}, Servers: 1})
		if err != nil || answer.Agreed || len(*did) != 0 {
			t.Errorf("%d years: %+v, %v, %q", years, answer, err, *did)
		}
	}
}

// The floor is that of the image, which is later than the source.
func TestNeverSetsTheClockBelowTheFloor(t *testing.T) {
	for row, want := range map[time.Duration]bool{-time.Second: false, time.Hour: true} {
		_, clock, did := fakeClock()
		clock.floor = packet.Earliest.AddDate(2, 0, 0)
		offset := time.Until(clock.floor.Add(row))
		answer, err := clock.settle(message.Round{Clocks: []agree.Clock{{Offset: offset, Distance: 1}}, Servers: 1})
		if err != nil || answer.Agreed != want || (len(*did) > 0) != want {
			t.Errorf("%v after the floor: %+v, %v, %q", row, answer, err, *did)
		}
	}
}

// A program that ends and starts again may not step the clock at will.
func TestBoundsStepsOfAClockThatHasBeenSet(t *testing.T) {
	for offset, want := range map[time.Duration]bool{
		time.Minute: true, -time.Minute: true, defaultMaxStep + time.Second: false, -defaultMaxStep - time.Second: false,
	} {
		_, clock, did := fakeClock()
		clock.wasSet = true
		var said string
		clock.log.print = func(text string) { said = text }
		answer, err := clock.settle(message.Round{Clocks: []agree.Clock{{Offset: offset, Distance: 1}}, Servers: 1})
		if err != nil || answer.Agreed != want || (len(*did) > 0) != want || strings.Contains(said, "fix: ") == want {
			t.Errorf("%v: %+v, %v, %q, %s", offset, answer, err, *did, said)
		}
	}
}

// Small steps after restarts have the same bound as a large one. The first setting does not count.
func TestBoundsStepsOfAllRestartsTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steps")
	for i, row := range []struct {
		offset time.Duration
		want   bool
	}{
		{24 * time.Hour, true}, {10 * time.Minute, true}, {-6 * time.Minute, true}, {-10 * time.Minute, false}, {30 * time.Second, true},
		{time.Minute, false}, {stepThreshold - 1, true},
	} {
		list, sum, err := openSteps(path)
		if err != nil {
			t.Fatal(err)
		}
		_, clock, _ := fakeClock()
		clock.wasSet, clock.stepped, clock.record = i > 0, sum, recorder(int(list.Fd()))
		clock.log.print = func(string) {}
		answer, err := clock.settle(message.Round{Clocks: []agree.Clock{{Offset: row.offset, Distance: 1}}, Servers: 1})
		if err != nil || answer.Agreed != row.want {
			t.Errorf("%v after %v: %+v, %v", row.offset, sum, answer, err)
		}
		list.Close()
	}
}

func TestStepsNeedNoDirectory(t *testing.T) {
	list, sum, err := openSteps(filepath.Join(t.TempDir(), "absent", "steps"))
	if list != nil || sum != 0 || err != nil {
		t.Errorf("%v, %v, %v", list, sum, err)
	}
}

func TestReadStepsRejects(t *testing.T) {
	for _, text := range []string{"x", "1s\n\n", "2540400h\n2540400h\n", strings.Repeat("1s\n", maxSteps)} {
		if sum, err := readSteps(strings.NewReader(text)); err == nil {
			t.Errorf("%.20q: %v", text, sum)
		}
	}
}

func FuzzReadSteps(f *testing.F) {
	f.Add("10m0s\n-6m0s\n")
	f.Fuzz(func(t *testing.T, text string) {
		if sum, err := readSteps(strings.NewReader(text)); err == nil && sum < 0 {
			t.Fatal(sum)
		}
	})
}

func TestQuerySetsNothing(t *testing.T) {
	_, clock, did := fakeClock()
	clock.query, clock.wasSet = true, true
	var said string
	clock.log.print = func(text string) { said = text }
	answer, err := clock.settle(message.Round{Clocks: []agree.Clock{{Offset: -time.Hour, Distance: 1}}, Servers: 1})
	if err != nil || !answer.Agreed || len(*did) != 0 || said != "the clock is off by -1h0m0s (1 of 1 servers agree)" {
		t.Errorf("%+v, %v, %q, %s", answer, err, *did, said)
	}
}

func TestReportsAreLimited(t *testing.T) {
	r := newReports()
	lines, now := 0, time.Now()
	r.print, r.now = func(string) { lines++ }, func() time.Time { return now }
	for i := range 10_000 {
		r.report(fmt.Sprintf("192.0.2.%d", i%200), fmt.Sprintf("error %d", i))
	}
	if lines != burst || len(r.last) > maxReports {
		t.Errorf("%d lines, %d subjects", lines, len(r.last))
	}
	now = now.Add(2 * linePause)
	for range 5 {
		r.report("again", "same")
	}
	if lines != burst+1 {
		t.Errorf("%d lines", lines)
	}
}

func TestReasonsOmitLocalPorts(t *testing.T) {
	for _, err := range []error{
		&net.OpError{Op: "read", Source: &net.UDPAddr{Port: 54321}, Err: os.ErrDeadlineExceeded},
		&net.DNSError{Name: "a", Server: "10.0.2.3:53", Err: "read udp 10.0.2.15:54321->10.0.2.3:53: i/o timeout", IsTimeout: true},
	} {
		if text := reason(err); strings.Contains(text, "54321") {
			t.Error(text)
		}
	}
}

// The limit of an exchange is an hour in tests.
func TestExchangeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	silent := serve(t, 0, func(answer []byte, _ func([]byte)) { answer[31] ^= 1 })
	_, err := exchange(ctx, station{address: netip.MustParseAddrPort(silent.Name)})
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestExchangeEndsWithoutAnAnswer(t *testing.T) {
	defer func(before time.Duration) { timeout = before }(timeout)
	timeout = 200 * time.Millisecond
	silent := serve(t, 0, func(answer []byte, _ func([]byte)) { answer[31] ^= 1 })
	_, err := exchange(t.Context(), station{address: netip.MustParseAddrPort(silent.Name)})
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestMeasure(t *testing.T) {
	sent := time.Now()
	a := packet.Answer{Received: sent.Add(time.Hour + 30*time.Millisecond), Sent: sent.Add(time.Hour + 40*time.Millisecond), Precision: time.Microsecond}
	s, err := measure(sent, sent.Add(60*time.Millisecond), a)
	if err != nil || (s.offset-time.Hour-5*time.Millisecond).Abs() > time.Microsecond || s.delay != 50*time.Millisecond {
		t.Errorf("%+v, %v", s, err)
	}
	if s.distance < 25*time.Millisecond || s.distance > 26*time.Millisecond {
		t.Errorf("%+v", s)
	}
	if _, err := measure(sent, sent.Add(5*time.Millisecond), a); err == nil {
		t.Error("accepted an answer sent before its request")
	}
}

func TestParseOptions(t *testing.T) {
	config := filepath.Join(t.TempDir(), "ntpd.conf")
	read := func(text string, args ...string) (options, error) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return parseOptions(args, config, io.Discard)
	}
	o, err := read("# OpenNTPD\nservers pool.example # several\nserver 192.0.2.1\n", "-d")
	if err != nil || len(o.servers) != 2 || o.servers[0] != (server{"pool.example:123", true, false}) || o.servers[1] != (server{"192.0.2.1:123", false, false}) {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = read("server a", "-1", "[2001:db8::1]:1123", "2001:db8::2")
	if err != nil || !o.once || len(o.servers) != 2 || o.servers[0].Name != "[2001:db8::1]:1123" || o.servers[1].Name != "[2001:db8::2]:123" {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = read("server a nts\nserver b\n", "-q")
	if err != nil || !o.once || !o.query || !o.servers[0].IsSecure || o.servers[1].IsSecure {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = read("", "-nts", "a", "2001:db8::1"); err != nil || !o.servers[0].IsSecure || !o.servers[1].IsSecure {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-nts", "a:1123"}, {"-max-step", "-1s", "a"}} {
		if o, err := read("", args...); err == nil {
			t.Errorf("%q: %+v", args, o)
		}
	}
	if o, err := read("servers a", "-nts"); err == nil {
		t.Errorf("NTS of a pool: %+v", o)
	}
	for text, want := range map[string]string{
		"":                               "no server",
		"sensor *":                       ":1: unsupported setting \"sensor *\"",
		"server a\nserver b weight 5":    ":2: ",
		"server a/b":                     "invalid server",
		strings.Repeat("server a\n", 17): "17 servers exceed the limit of 16",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("servers pool.example\n")
	path := filepath.Join(f.TempDir(), "ntpd.conf")
	f.Fuzz(func(t *testing.T, text string) {
		if os.WriteFile(path, []byte(text), 0o600) != nil {
			t.Skip()
		}
		all, err := readConfig(path)
		for _, s := range all {
			if _, _, failure := net.SplitHostPort(s.Name); err == nil && failure != nil {
				t.Fatalf("%q: %v", s.Name, failure)
			}
		}
	})
}
