package logd

import (
	"sync"

	"lkt/init/logs"
)

// queue has lines that wait to be sent somewhere, up to a number of bytes. A source has at most a quarter of it, so that one
// that writes much takes no room from others.
type queue struct {
	most    int64
	dropped func(source string)

	mutex  sync.Mutex
	lines  []logs.Entry
	bytes  int64
	shares map[string]int64
	filled chan struct{}
}

func newQueue(most int64, dropped func(source string)) *queue {
	return &queue{most: most, dropped: dropped, shares: map[string]int64{}, filled: make(chan struct{}, 1)}
}

func weight(e logs.Entry) int64 { return int64(len(e.Text)+len(e.Source)) + 100 }

// put appends a line, or drops it.
func (q *queue) put(e logs.Entry) {
	q.mutex.Lock()
	full := q.bytes+weight(e) > q.most || q.shares[e.Source]+weight(e) > q.most/4
	if !full {
		q.lines = append(q.lines, e)
		q.bytes += weight(e)
		q.shares[e.Source] += weight(e)
	}
	q.mutex.Unlock()
	if full {
		q.dropped(e.Source)
		return
	}
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// take waits for a line.
func (q *queue) take() logs.Entry {
	for {
		if e, found := q.try(); found {
			return e
		}
		<-q.filled
	}
}

func (q *queue) try() (logs.Entry, bool) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.lines) == 0 {
		return logs.Entry{}, false
	}
	e := q.lines[0]
	q.lines[0] = logs.Entry{}
	q.lines = q.lines[1:]
	q.bytes -= weight(e)
	if q.shares[e.Source] -= weight(e); q.shares[e.Source] == 0 {
		delete(q.shares, e.Source)
	}
	return e, true
}

func (q *queue) isEmpty() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return len(q.lines) == 0
}
