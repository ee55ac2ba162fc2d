package logd

import "time"

// rateLimit is a token bucket: it passes rate bytes a second, and bursts of up to burst bytes.
type rateLimit struct {
	rate, burst int64
	tokens      float64
	last        time.Time
}

func newRateLimit(rate, burst int64) *rateLimit {
	return &rateLimit{rate: rate, burst: burst, tokens: float64(burst)}
}

// take reports whether the bytes may pass now. It adds no tokens when the clock goes back.
func (l *rateLimit) take(now time.Time, bytes int64) bool {
	if !l.last.IsZero() {
		l.tokens = min(float64(l.burst), l.tokens+max(0, now.Sub(l.last).Seconds())*float64(l.rate))
	}
	l.last = now
	if l.tokens < float64(bytes) {
		return false
	}
	l.tokens -= float64(bytes)
	return true
}
