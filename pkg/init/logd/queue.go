package logd

import (
	"sync"

	"lkt/init/logs"
)

// queue buffers lines for a destination, up to a capacity in bytes. A source may use at most a
// quarter of it, so that a flooding source does not displace others.
type queue struct {
	capacity int64
	dropped  func(source string)

	mutex sync.Mutex
	lines []logs.Entry
	// taken: the destination has not finished the line that it took last.
	taken  bool
	bytes  int64
	shares map[string]int64
	filled chan struct{}
}

func newQueue(capacity int64, dropped func(source string)) *queue {
	return &queue{capacity: capacity, dropped: dropped, shares: map[string]int64{}, filled: make(chan struct{}, 1)}
}

func weight(e logs.Entry) int64 { return int64(len(e.Text)+len(e.Source)) + 100 }

// put appends a line, or drops it if the queue or the source's share is full.
func (q *queue) put(e logs.Entry) {
	q.mutex.Lock()
	full := q.bytes+weight(e) > q.capacity || q.shares[e.Source]+weight(e) > q.capacity/4
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

// take removes and returns the first line. It waits for one if the queue is empty. The caller has
// finished the line before.
func (q *queue) take() logs.Entry {
	q.mutex.Lock()
	q.taken = false
	q.mutex.Unlock()
	for {
		if e, found := q.tryTake(); found {
			return e
		}
		<-q.filled
	}
}

func (q *queue) tryTake() (logs.Entry, bool) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.lines) == 0 {
		return logs.Entry{}, false
	}
	e := q.lines[0]
	q.lines[0] = logs.Entry{}
	q.lines = q.lines[1:]
	q.taken = true
	q.bytes -= weight(e)
	if q.shares[e.Source] -= weight(e); q.shares[e.Source] == 0 {
		delete(q.shares, e.Source)
	}
	return e, true
}

// isLast reports whether no line follows the one that was taken last.
func (q *queue) isLast() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return len(q.lines) == 0
}

// isEmpty reports whether the destination has finished all lines.
func (q *queue) isEmpty() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return len(q.lines) == 0 && !q.taken
}
