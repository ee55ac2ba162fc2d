package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Restart policies: when to restart a service that has exited.
const (
	Never     = "never"
	OnFailure = "on-failure"
	Always    = "always"
)

// Rules are the supervision rules in the runtime.json of a service. With the zero value, the
// service starts at once, is ready when started, and is not restarted.
type Rules struct {
	Restart string   `json:"restart"`
	After   []string `json:"after"`
	Ready   *Ready   `json:"ready"`
}

// Ready is the readiness check of a service: one of Socket, Exec and Log.
type Ready struct {
	// Socket is the path of a Unix socket in the machine's root that accepts connections.
	Socket string `json:"socket"`
	// Exec is a command in the container that exits with status 0.
	Exec []string `json:"exec"`
	// Log is a text in a line that the service has written since it started.
	Log string `json:"log"`
	// Timeout is in seconds; 0 means 60.
	Timeout float64 `json:"timeout"`
}

// LoadRules reads the rules of the service whose bundle is in dir.
func LoadRules(dir string) (Rules, error) {
	var rules Rules
	data, err := os.ReadFile(filepath.Join(dir, "runtime.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return rules, nil
	}
	if err != nil {
		return rules, err
	}
	if err := json.Unmarshal(data, &rules); err != nil {
		return rules, fmt.Errorf("%s/runtime.json: %w", dir, err)
	}
	return rules, nil
}

// shouldRestart reports whether to restart a service that exited with status, or could not be
// started (status -1).
func (r Rules) shouldRestart(status int) bool {
	return r.Restart == Always || r.Restart == OnFailure && status != 0
}

func (r *Ready) timeout() time.Duration {
	if r.Timeout <= 0 {
		return time.Minute
	}
	return time.Duration(r.Timeout * float64(time.Second))
}
