package logd

import "time"

// limit lets rate bytes a second pass, and burst of them at once.
type limit struct {
	rate, burst int64
	left        float64
	last        time.Time
}

func newLimit(rate, burst int64) *limit {
	return &limit{rate: rate, burst: burst, left: float64(burst)}
}

// take says whether so many bytes may pass now. A clock that goes back gives nothing, and takes nothing.
func (l *limit) take(now time.Time, bytes int64) bool {
	if !l.last.IsZero() {
		l.left = min(float64(l.burst), l.left+max(0, now.Sub(l.last).Seconds())*float64(l.rate))
	}
	l.last = now
	if l.left < float64(bytes) {
		return false
	}
	l.left -= float64(bytes)
	return true
}
