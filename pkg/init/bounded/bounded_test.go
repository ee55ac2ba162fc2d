package bounded

import (
	"context"
	"testing"
	"time"
)

func TestBoundedGivesUp(t *testing.T) {
	hangs := func() { select {} }
	if Call(context.Background(), 10*time.Millisecond, hangs) == nil {
		t.Error("a call that hangs ended")
	}
	if Call(context.Background(), time.Hour, func() {}) != nil {
		t.Error("a call that returns did not end")
	}
}

func TestBoundedGivesUpOnceForced(t *testing.T) {
	forced, force := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, force)
	ended := make(chan error, 1)
	go func() { ended <- Call(forced, time.Hour, func() { select {} }) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a call that hangs ended")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("waits although the shutdown is forced")
	}
}

func TestWithoutProgress(t *testing.T) {
	left := []uint64{9, 8, 8, 5, 5, 5}
	tick := 0
	patience := &progress{limit: 3 * time.Second}
	for ; !patience.isOver(time.Duration(tick)*time.Second, left[min(tick, len(left)-1)]); tick++ {
		if tick > 100 {
			t.Fatal("waits forever")
		}
	}
	if tick != 6 {
		t.Errorf("gave up after %d seconds", tick)
	}
}

func TestUnwritten(t *testing.T) {
	const text = "MemTotal: 1 kB\nDirty:              1204 kB\nWriteback:            16 kB\nWritebackTmp: 7 kB\n"
	if got := unwritten(text); got != 1220 {
		t.Errorf("got %d", got)
	}
}
