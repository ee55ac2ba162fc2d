package logd

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"lkt/init/logs"
)

func openTestStore(t *testing.T, size, total int64) *store {
	t.Helper()
	s, err := openStore(t.TempDir(), size, total)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fill(t *testing.T, s *store, source string, lines int) {
	t.Helper()
	for i := range lines {
		e := logs.Entry{Time: time.Now(), Source: source, Text: fmt.Sprintf("line %d %s", i, strings.Repeat("x", 72))}
		if err := s.append(e); err != nil {
			t.Fatal(err)
		}
	}
}

// read returns all lines of a source.
func read(t *testing.T, dir, source string) []string {
	t.Helper()
	c, err := logs.OpenCursor(dir, source, true)
	if err != nil {
		return nil
	}
	defer c.Close()
	var lines []string
	for e, found := c.Next(); found; e, found = c.Next() {
		lines = append(lines, e.Text)
	}
	return lines
}

func sizeOnDisk(t *testing.T, dir string) (sum int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		sum += fileSize(dir + "/" + e.Name())
	}
	return sum
}

func TestStoreKeepsLastLinesWithinSize(t *testing.T) {
	s := openTestStore(t, 20_000, 1<<20)
	fill(t, s, "a", 5000)
	if size := sizeOnDisk(t, s.dir); size > 20_000 || size < 9_000 {
		t.Errorf("%d bytes", size)
	}
	lines := read(t, s.dir, "a")
	for i, line := range lines {
		if want := fmt.Sprintf("line %d ", 5000-len(lines)+i); !strings.HasPrefix(line, want) {
			t.Fatalf("%q instead of %q", line, want)
		}
	}
	if status := s.status()["a"]; status.Lines != 5000 || status.Kept != sizeOnDisk(t, s.dir) {
		t.Errorf("%+v", status)
	}
}

func TestStoreShrinksLargestSource(t *testing.T) {
	s := openTestStore(t, 20_000, 50_000)
	fill(t, s, "small", 30)
	for i := range 8 {
		fill(t, s, fmt.Sprintf("big-%d", i), 500)
	}
	if size := sizeOnDisk(t, s.dir); size > 50_000 || size != s.used {
		t.Errorf("%d bytes, counted as %d", size, s.used)
	}
	if lines := read(t, s.dir, "small"); len(lines) != 30 {
		t.Errorf("the small source has %d lines left", len(lines))
	}
	if lines := read(t, s.dir, "big-7"); len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], "line 499 ") {
		t.Errorf("the last one has %d lines", len(lines))
	}
}

// The largest source may have no older half to lose.
func TestStoreKeepsTheLineThatExceedsTotal(t *testing.T) {
	s := openTestStore(t, 20_000, 15_000)
	for i := range 9 {
		fill(t, s, fmt.Sprint(i), 9)
	}
	for i := range 200 {
		fill(t, s, "large", 1)
		if lines := read(t, s.dir, "large"); len(lines) == 0 {
			t.Fatalf("line %d is lost", i)
		}
	}
	if size := sizeOnDisk(t, s.dir); size > 15_000 || size != s.used {
		t.Errorf("%d bytes, counted as %d", size, s.used)
	}
}

// A file system that becomes full stores only the beginning of a line.
func TestStoreRemovesHalfALine(t *testing.T) {
	s := openTestStore(t, 20_000, 50_000)
	fill(t, s, "a", 1)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(bytes uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	limit(uint64(s.used) + 40)
	err := s.append(logs.Entry{Time: time.Now(), Source: "a", Text: strings.Repeat("y", 80)})
	limit(old.Cur)
	if err == nil {
		t.Fatal("a full file system is no error")
	}
	fill(t, s, "a", 1)
	lines := read(t, s.dir, "a")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], "line 0 ") || sizeOnDisk(t, s.dir) != s.used {
		t.Errorf("%q, %d bytes counted as %d", lines, sizeOnDisk(t, s.dir), s.used)
	}
}

func TestOpenStoreContinuesExistingLogs(t *testing.T) {
	s := openTestStore(t, 20_000, 50_000)
	fill(t, s, "a", 300)
	if err := logs.WriteStatus(s.dir, s.status()); err != nil {
		t.Fatal(err)
	}
	again, err := openStore(s.dir, 20_000, 50_000)
	if err != nil {
		t.Fatal(err)
	}
	if again.used != s.used {
		t.Errorf("%d bytes, not %d", again.used, s.used)
	}
	fill(t, again, "a", 3)
	if status := again.status()["a"]; status.Lines != 303 {
		t.Errorf("%+v", status)
	}
	if lines := read(t, s.dir, "a"); !strings.HasPrefix(lines[len(lines)-4], "line 299 ") {
		t.Error(lines[len(lines)-4:])
	}
}

func TestAppendDoesNotFollowLinks(t *testing.T) {
	s := openTestStore(t, 20_000, 50_000)
	target := s.dir + "/target"
	if err := os.WriteFile(target, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, logs.Path(s.dir, "a")); err != nil {
		t.Fatal(err)
	}
	if err := s.append(logs.Entry{Source: "a", Text: "x"}); err == nil {
		t.Error("wrote through the link")
	}
	if data, _ := os.ReadFile(target); string(data) != "as it was" {
		t.Errorf("%q", data)
	}
}

func TestHasRoomLimitsNames(t *testing.T) {
	s := openTestStore(t, 20_000, 50_000)
	for i := range 10 {
		if got := s.hasRoom(fmt.Sprint(i), 5); got != (i < 5) {
			t.Errorf("%d: %v", i, got)
		}
		if i < 5 {
			fill(t, s, fmt.Sprint(i), 1)
		}
	}
	if !s.hasRoom("3", 5) {
		t.Error("no room for a known source")
	}
}

func TestRateLimit(t *testing.T) {
	l := newRateLimit(100, 1000)
	now := time.Unix(1_000_000, 0)
	if !l.take(now, 1000) || l.take(now, 1) {
		t.Error("burst")
	}
	now = now.Add(time.Second)
	if !l.take(now, 100) || l.take(now, 1) {
		t.Error("rate")
	}
	now = now.Add(-time.Hour)
	if l.take(now, 1) {
		t.Error("a clock that went back added tokens")
	}
	now = now.Add(time.Hour)
	if !l.take(now, 1000) || l.take(now, 1) {
		t.Error("more than a burst")
	}
}
