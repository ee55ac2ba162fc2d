// Package bounded calls the kernel with a limit of time, so that a disk that does not answer cannot
// block the shutdown.
package bounded

import (
	"context"
	"fmt"
	"time"
)

// forcedTime is how long a call may take once the shutdown is forced.
const forcedTime = 2 * time.Second

// Call calls do, and returns an error unless it returns within limit, or within two seconds once
// forced ends. A call that hangs in the kernel cannot be cancelled: it stays behind.
func Call(forced context.Context, limit time.Duration, do func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	for waiting := forced.Done(); ; {
		select {
		case <-done:
			return nil
		case <-waiting:
			waiting, limit = nil, min(limit, forcedTime)
			late.Reset(limit)
		case <-late.C:
			return fmt.Errorf("did not end within %v", limit)
		}
	}
}
